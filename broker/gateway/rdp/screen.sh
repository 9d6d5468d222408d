# Run by screen.py inside the box: an X server that is a VNC server too, with an RDP client that fills it.
# $1: address, $2: size, $3: user, $4: domain. The password is the one line on standard input.
Xtigervnc :1 -rfbunixpath /screen/rfb -rfbunixmode 0600 -rfbport -1 -SecurityTypes None -geometry "$2" -depth 24 \
    -nolisten tcp -nolisten local -AcceptSetDesktopSize=0 -MaxDisconnectionTime 10 -desktop Berth >/dev/null 2>&1 &
tries=0
until [ -S /tmp/.X11-unix/X1 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || exit 1
    sleep 0.02
done
exec xfreerdp "/v:$1" "/u:$3" ${4:+"/d:$4"} /from-stdin:force /cert:tofu -sec-rdp /f -grab-keyboard -decorations \
    +clipboard /bpp:32 /network:lan /log-level:ERROR >/dev/null 2>&1
