# Runs a container that has external extensions: they first, the runtime when the server says so. POSIX shell and
# nothing else, because a function's image need not have more; the engine's own init is above it and reaps.
#
# $0 is a mark that only the server knows: lines of standard output that hold it are news for the server. $1 names the
# variables that extensions do not get; the rest is the runtime's command line.
# Standard output is the runtime's, standard error the extensions'.
# Signals: USR2 starts the runtime, TERM and USR1 end it (gently, at once).
mark=$0
withheld=$1
shift

tell() { printf '%s %s\n' "$mark" "$*"; }

refuse() {
    tell refused "$*"
    exit 127
}

case $1 in
*/*)
    [ -e "$1" ] || refuse "$1: no such file or directory"
    { [ -f "$1" ] && [ -x "$1" ]; } || refuse "$1: permission denied"
    ;;
*)
    command -v "$1" >/dev/null || refuse "$1: executable file not found in \$PATH"
    ;;
esac

runtime=
due=
interrupted=
trap 'interrupted=1; due=1' USR2
trap 'interrupted=1; [ -z "$runtime" ] || kill -TERM "$runtime" 2>/dev/null' TERM
trap 'interrupted=1; [ -z "$runtime" ] || kill -KILL "$runtime" 2>/dev/null' USR1

for extension in /opt/extensions/*; do
    [ -f "$extension" ] || continue
    (
        trap - TERM USR1 USR2
        [ -z "$withheld" ] || unset $withheld
        "$extension" </dev/null >&2
        tell extension "$?" "${extension##*/}"
    ) &
done

while [ -z "$due" ]; do
    interrupted=
    wait
    # Not interrupted: every extension has ended, and the server knows.
    [ -n "$interrupted" ] || exit 1
done

"$@" 2>&1 &
runtime=$!
tell started

status=
while :; do
    interrupted=
    wait "$runtime"
    now=$?
    # 127 the second time: it had ended already when a signal came.
    if [ "$now" -eq 127 ] && [ -n "$status" ]; then break; fi
    status=$now
    [ -n "$interrupted" ] || break
done
tell ended "$status"

# Extensions have their time; the server ends the container.
while :; do
    interrupted=
    wait
    [ -n "$interrupted" ] || break
done
exit "$status"
