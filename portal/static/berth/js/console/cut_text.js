/* Text for the machine's clipboard, as the machine's own programs have it.
 *
 * noVNC sends what RFB says: lines that end with CR and LF, and a NUL at the end. QEMU hands both on as they come, so a
 * Linux desktop would paste each line end twice, and every desktop a character that is not there. */

import RFB from "../../../vendor/novnc/core/rfb.js";
import Deflator from "../../../vendor/novnc/core/deflator.js";

const text = 1; // the format, of the extended clipboard
const provide = 1 << 28; // the action

/** `windows`: whose lines end with CR and LF. Holds for all screens of the page. */
export function sendAsTheMachineHasIt(windows) {
  RFB.messages.extendedClipboardProvide = (socket, formats, [given]) => {
    const lines = given.replace(/\r\n|\r|\n/g, windows ? "\r\n" : "\n");
    const bytes = new TextEncoder().encode(lines);
    const sized = new Uint8Array(4 + bytes.length);
    new DataView(sized.buffer).setUint32(0, bytes.length);
    sized.set(bytes, 4);
    const packed = new Deflator().deflate(sized);
    const message = new Uint8Array(4 + packed.length);
    message.set(RFB.messages._buildExtendedClipboardFlags([provide], [text]));
    message.set(packed, 4);
    RFB.messages.clientCutText(socket, message, true);
  };
}
