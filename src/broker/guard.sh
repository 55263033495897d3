# Runs "$@" until it ends or whoever started this script does: even a parent that is killed with -9 closes
# the pipe to our standard input. Each line on it is a signal's name, to be sent to the program.
exec 3<&0 </dev/null
"$@" 3<&- >server.log 2>&1 &
program=$!
echo "$program" >pid
{
  while read -r signal; do kill -s "$signal" "$program"; done
  kill -s KILL "$program"
} <&3 3<&- &
watch=$!
exec 3<&-
wait "$program"
kill "$watch"
rm -f pid
