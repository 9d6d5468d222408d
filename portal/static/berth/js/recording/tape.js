/* A recording as it comes from Berth, in the format of rfbproxy: a line with the version, then blocks of
 * length(4), bytes filled up to a multiple of four, milliseconds(4); numbers are big-endian.
 *
 * It is kept in blobs, which a browser puts on its disk when they are many; only the present one is taken apart. */

const version = "FBS 001.000\n";
const enough = 1 << 20; // bytes in one piece
const most = 40 << 20; // in one block; noVNC holds no more

export class Tape {
  /** What came so far: pieces with the times of their first and last block. */
  pieces = [];
  length = 0;
  whole = false;

  /** Get all of it; `grown()` is called for each new piece. Throws what `fetch` throws, and an Error for a bad file. */
  async load(address, grown) {
    const answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
    const reader = answer.body.getReader();
    let rest = new Uint8Array(0);
    let begun = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest = joined(rest, value);
      if (!begun) {
        if (rest.length < version.length) continue;
        if (new TextDecoder("latin1").decode(rest.subarray(0, version.length)) !== version) throw new Error("format");
        rest = rest.slice(version.length);
        begun = true;
      }
      if (rest.length >= enough) {
        rest = this.take(rest);
        grown();
      }
    }
    rest = this.take(rest);
    grown();
    if (!begun || rest.length) throw new Error("cut off");
    this.whole = true;
  }

  /** Keep the whole blocks of `bytes`; returns what is left of them. */
  take(bytes) {
    let end = 0;
    let first;
    let last;
    for (const block of blocks(bytes)) {
      first ??= block.at;
      last = block.at;
      end = block.end;
    }
    if (end) {
      this.pieces.push({ first, last, blob: new Blob([bytes.slice(0, end)]) });
      this.length = Math.max(this.length, last);
    }
    return bytes.slice(end);
  }

  /** The blocks of one piece, each {at, data}. */
  async read(number) {
    return [...blocks(new Uint8Array(await this.pieces[number].blob.arrayBuffer()))];
  }
}

function joined(one, other) {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function* blocks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let place = 0;
  while (place + 8 <= bytes.length) {
    const length = view.getUint32(place);
    if (length > most) throw new Error("format");
    const data = place + 4;
    const time = data + length + ((4 - (length % 4)) % 4);
    if (time + 4 > bytes.length) return;
    place = time + 4;
    yield { at: view.getUint32(time), data: bytes.subarray(data, data + length), end: place };
  }
}
