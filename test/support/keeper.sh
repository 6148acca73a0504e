#!/bin/sh
# Ends servers and removes folders when the test process that started them has died, in whatever way: its end of
# our stdin is closed then. Lines: `watch PID`, `forget PID` (a process group's leader), `keep PATH`, `removed PATH`.

pids=' '
folders=' '
while read -r verb what; do
  case $verb in
    watch) pids="$pids$what " ;;
    forget) pids="${pids%% "$what" *} ${pids#* "$what" }" ;;
    keep) folders="$folders$what " ;;
    removed) folders="${folders%% "$what" *} ${folders#* "$what" }" ;;
  esac
done

# Unquoted on purpose: lists of words.
for pid in $pids; do kill -TERM "$pid"; done
for pid in $pids; do
  tries=50
  while kill -0 "$pid" && [ $tries -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
  kill -KILL "-$pid"
done
for folder in $folders; do rm -rf -- "$folder"; done
