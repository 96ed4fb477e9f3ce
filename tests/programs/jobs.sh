# Traps, background jobs and wait. What is printed depends on no pid and on no order in time.
set -u
work() { # work NAME ROUNDS: a sum over a pseudo-random walk
  local state=$1 sum=0 i
  for ((i = 0; i < $2; i++)); do
    state=$(((state * 1103515245 + 12345) % 2147483648))
    sum=$(((sum ^ state) + i))
  done
  echo "$1 $sum"
}

seen=0
trap 'seen=$((seen + 1)); echo "to 1" >&4' USR1
trap 'seen=$((seen + 1)); echo "to 2" >&5' USR2
trap 'seen=$((seen + 1)); echo "to 3" >&6' HUP
trap 'echo "on exit: $seen signals"' EXIT
mkfifo heard.1 heard.2 heard.3
exec 4<>heard.1 5<>heard.2 6<>heard.3

# Each has a signal of its own and does not go on before the trap has answered, so no signal is ever merged.
signaller() { # signaller NUMBER SIGNAL DESCRIPTOR
  trap - EXIT
  local turn word
  for turn in 1 2 3 4 5 6; do
    work "$((1000 * $1 + turn))" 45000
    kill -"$2" $$
    read -r word <&"$3"
    echo "turn $turn: $word"
  done
  return "$((40 + $1))"
}

declare -A job
signaller 1 USR1 4 >part.1 &
job[1]=$!
signaller 2 USR2 5 >part.2 &
job[2]=$!
signaller 3 HUP 6 >part.3 &
job[3]=$!
(trap 'echo "told to end"; exit 9' TERM; trap - EXIT; while :; do sleep 0.05; done) >part.sleeper &
sleeper=$!

# Not a `wait` that signals interrupt: in that, bash 5.2 now and then hangs even undisturbed.
for name in 1 2 3; do
  while kill -0 "${job[$name]}" 2>/dev/null; do sleep 0.05; done
  wait "${job[$name]}"
  echo "job $name ended with $?"
done

# Now a wait that lasts.
for name in 4 5 6; do
  work "$name" 50000 >"part.$name" &
  job[$name]=$!
done
wait "${job[4]}" "${job[5]}" "${job[6]}"
echo "jobs 4 to 6 ended with $?"

# A subshell in a pipeline, a here-document, a command substitution.
work 77 100000 | while read -r name sum; do echo "through a pipe: $name ${#sum}"; done
lines=$(for i in {1..300}; do echo "$i $((i * i % 37))"; done | sort -k2n -k1n | head -5)
cat <<END
$lines
$(work 99 100000)
END
kill -TERM "$sleeper"
wait "$sleeper"
echo "sleeper ended with $?"
cat part.1 part.2 part.3 part.4 part.5 part.6 part.sleeper
(exit 5) | true
echo "pipe status ${PIPESTATUS[*]}"
exit 17
