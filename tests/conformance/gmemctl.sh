#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# What gmemctl answers: exit codes, and one sentence where it cannot work. Runs as
# root in a test VM with gmemctl on PATH, and prints TAP. /dev/kvm is hidden at
# the end, so nothing that needs it can follow.

number=0
failures=0
out=$(mktemp) || exit 1
err=$(mktemp) || exit 1
trap 'rm -f "$out" "$err"' EXIT

# check NAME WANTED-STATUS LINES-ON-STDERR COMMAND...
check()
{
	name=$1 wanted=$2 lines=$3
	shift 3
	"$@" >"$out" 2>"$err" </dev/null
	status=$?
	number=$((number + 1))
	said=$(wc -l <"$err")
	if [ "$status" -eq "$wanted" ] && { [ "$lines" = any ] || [ "$said" -eq "$lines" ]; }; then
		echo "ok $number - gmemctl $name"
	else
		echo "not ok $number - gmemctl $name"
		echo "# '$*' ended with $status, not $wanted, and $said lines on stderr"
		sed 's/^/# /' "$err"
		failures=$((failures + 1))
	fi
}

# check_says NAME TEXT: the last command's output has it.
check_says()
{
	number=$((number + 1))
	if grep -q -e "$2" "$out" "$err"; then
		echo "ok $number - gmemctl $1"
	else
		echo "not ok $number - gmemctl $1"
		echo "# nothing says: $2"
		sed 's/^/# /' "$out"
		failures=$((failures + 1))
	fi
}

echo "TAP version 13"

check "explains itself" 0 0 gmemctl --help
check "without a command explains itself" 2 any gmemctl
check "refuses an unknown command" 2 1 gmemctl nothing
for command in probe matrix run stress; do
	check "$command explains itself" 0 0 gmemctl "$command" --help
	check "$command refuses an unknown option" 2 any gmemctl "$command" --nothing
	check "$command refuses an operand" 2 any gmemctl "$command" nothing
done
for bad in --seconds=0 --seconds=x --size=3 --size=64Q --size=4097 --size=2G --size= \
	--policy=destroy --policy=encrypted --policy=; do
	check "run refuses $bad" 2 1 gmemctl run "$bad"
done

for bad in --seconds=0 --threads=0 --threads=9 --seed=x --seed=; do
	check "stress refuses $bad" 2 1 gmemctl stress "$bad"
done
for command in probe matrix run stress; do
	check "$command refuses an unknown engine" 2 1 gmemctl "$command" --engine=xen
	check "$command refuses an unknown platform" 2 1 gmemctl "$command" --platform=vax
done

check "probe works" 0 0 gmemctl probe
check_says "probe names what sw offers" '^sw .* yes  *ZERO READABLE DESTROY  *ZERO READABLE DESTROY$'
check "probe works as JSON" 0 0 gmemctl probe --json
check_says "probe tells of conversion" '"converts_in_place": true'
check "matrix works" 0 0 gmemctl matrix
check_says "matrix: ZERO to shared" '^ZERO  *shared  *ok  *zeros  *zeros  *same$'
check_says "matrix: ZERO to private" '^ZERO  *private  *ok  *SIGBUS  *zeros  *same$'
check_says "matrix: READABLE to shared" '^READABLE  *shared  *ok  *the pattern  *the pattern  *same$'
check_says "matrix: READABLE to private" '^READABLE  *private  *ok  *SIGBUS  *the pattern  *same$'
check_says "matrix: ENCRYPTED to shared" '^ENCRYPTED  *shared  *EOPNOTSUPP  *SIGBUS  *the pattern  *same$'
check_says "matrix: ENCRYPTED to private" '^ENCRYPTED  *private  *EOPNOTSUPP  *the pattern  *the pattern  *same$'
check_says "matrix: DESTROY to shared" '^DESTROY  *shared  *ok  *SIGBUS  *memory fault  *-$'
check_says "matrix: DESTROY to private" '^DESTROY  *private  *ok  *SIGBUS  *memory fault  *-$'
check_says "matrix: zeros after DESTROY" 'converted again read zeros'
check "matrix works as JSON" 0 0 gmemctl matrix --json
check_says "matrix tells what is announced" '"as_announced": true'
check "run works under ZERO" 0 0 gmemctl run --seconds 1
check_says "run counts" '^[1-9][0-9]* conversions'
check "run works under READABLE" 0 0 gmemctl run --seconds=1 --policy=readable --size=8K --json
check_says "run counts errors" '"errors": 0,'

check "matrix shows every platform of emu" 0 0 gmemctl matrix --engine=emu --platform=all
check_says "matrix finds what the design says" '^Every cell is what the design.s table says'
check "run explains pKVM" 0 0 gmemctl run --engine=emu --platform=pkvm --explain
check_says "run --explain shows the refusal" 'refused: EPERM'
check_says "run --explain shows that a planned vCPU asks in vain" 'asks for nothing'

check "stress finds nothing in the kernel" 0 0 gmemctl stress --engine=kernel --seconds=3
check_says "stress did something" '^sw  *[1-9][0-9]* VMs, [1-9][0-9]* operations'

# Ended early, it still tells what it did.
ended_by_signal()
{
	gmemctl run --seconds=60 &
	child=$!
	sleep 1
	kill -TERM "$child"
	wait "$child"
}
check "run ends at a signal" 0 0 ended_by_signal
check_says "run sums up at a signal" '^[1-9][0-9]* conversions'

mv /dev/kvm /dev/kvm.hidden 2>/dev/null
if [ ! -e /dev/kvm ]; then
	for command in probe matrix run; do
		check "$command without KVM says so in a sentence" 2 1 \
			gmemctl "$command" --engine=kernel
		check_says "$command names the remedy" "make demo"
	done
	check "probe without KVM takes emu" 0 0 gmemctl probe
	check_says "probe names the engine" '^engine emu,'
	mv /dev/kvm.hidden /dev/kvm
fi

echo "1..$number"
[ "$failures" -eq 0 ]
