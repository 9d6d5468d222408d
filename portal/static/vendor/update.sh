#!/bin/sh
# Fetch the browser libraries pinned in package-lock.json and put what the pages use beside this script.
# Needed only to change a version: the results are part of the source, so that running and installing Berth
# need neither node nor a network. SHA256SUMS lists every copied file; `update.sh --check` compares.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here"

if [ "${1:-}" = "--check" ]; then
    exec sha256sum --check --quiet SHA256SUMS
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json package-lock.json "$work/"
(cd "$work" && npm ci --ignore-scripts --no-bin-links --no-fund --no-audit)
from=$work/node_modules

# Source maps are not shipped, and a reference to a missing one stops collectstatic.
copy() {
    mkdir -p "$(dirname -- "$2")"
    sed -e 's,/\*# sourceMappingURL=[^*]*\*/,,' -e 's,^//# sourceMappingURL=.*$,,' "$from/$1" > "$2"
}

rm -rf tabler htmx uplot novnc inter spice-html5 xterm
copy @tabler/core/dist/css/tabler.min.css tabler/tabler.min.css
copy @tabler/core/dist/js/tabler.min.js tabler/tabler.min.js
copy htmx.org/dist/htmx.min.js htmx/htmx.min.js
copy htmx.org/LICENSE htmx/LICENSE
copy uplot/dist/uPlot.esm.js uplot/uPlot.esm.js
copy uplot/dist/uPlot.min.css uplot/uPlot.min.css
copy uplot/LICENSE uplot/LICENSE
copy @xterm/xterm/lib/xterm.mjs xterm/xterm.mjs
copy @xterm/xterm/css/xterm.css xterm/xterm.css
copy @xterm/xterm/LICENSE xterm/LICENSE
copy @xterm/addon-fit/lib/addon-fit.mjs xterm/addon-fit.mjs
copy @xterm/addon-fit/LICENSE xterm/addon-fit.LICENSE
mkdir -p novnc inter
cp -R "$from/@novnc/novnc/core" "$from/@novnc/novnc/vendor" "$from/@novnc/novnc/LICENSE.txt" novnc/
for script in latin latin-ext cyrillic cyrillic-ext; do
    cp "$from/@fontsource-variable/inter/files/inter-$script-wght-normal.woff2" inter/
done
cp "$from/@fontsource-variable/inter/LICENSE" inter/

# SPICE comes from Debian: its package is newer than what npm has under that name. Unchanged, with its licence.
(cd "$work" && apt-get download spice-html5=0.3.0-2 && dpkg-deb -x spice-html5_*.deb spice)
mkdir -p spice-html5/thirdparty
cp "$work"/spice/usr/share/spice-html5/*.js spice-html5/
cp "$work"/spice/usr/share/spice-html5/thirdparty/*.js spice-html5/thirdparty/
cp "$work/spice/usr/share/doc/spice-html5/copyright" spice-html5/COPYRIGHT
cp /usr/share/common-licenses/LGPL-3 /usr/share/common-licenses/GPL-3 spice-html5/

# The icon sprite: the outlines named in icons.txt, each a <symbol id="i-NAME">.
mkdir -p ../berth
sprite=../berth/icons.svg
{
    echo '<svg xmlns="http://www.w3.org/2000/svg">'
    while read -r name; do
        printf '<symbol id="i-%s" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" ' "$name"
        printf 'stroke-linecap="round" stroke-linejoin="round">'
        sed -e '/^<!--/,/-->/d' -e '/<svg/,/>/d' -e '/<\/svg>/d' "$from/@tabler/icons/icons/outline/$name.svg" | tr -d '\n'
        echo '</symbol>'
    done < icons.txt
    echo '</svg>'
} > "$sprite"
cp "$from/@tabler/icons/LICENSE" ../berth/icons.LICENSE

find tabler htmx uplot novnc inter spice-html5 xterm -type f | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
