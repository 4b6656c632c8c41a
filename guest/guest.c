// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest program: executes the command lists that the host puts into the
 * vCPU's mailbox.  Portable, no state of its own; what differs between machines
 * is in guest_arch.h, one for each of them:
 *
 *   guest_load(), guest_store()	one access of 1, 2, 4 or 8 bytes
 *   guest_map_gpa_range()		KVM_HC_MAP_GPA_RANGE or what the machine has in
 *					its place, and how many pages from the front
 *					on were done, which may be fewer than asked
 *					for; for 0 pages, one by the call that takes
 *					no number of pages, where there is one
 *   guest_power_on()		PSCI's CPU_ON, where there is that
 *   guest_exit()			tell the host that a list is done
 *   guest_barrier()			order mailbox accesses
 */
#include <stdbool.h>

#define EPERM		1
#define EEXIST		17
#define EINVAL		22
#define EILSEQ		84
#define EOPNOTSUPP	95

/* attributes of KVM_HC_MAP_GPA_RANGE: bit 4 encrypted, bits 3:0 4 KiB pages */
#define MAP_GPA_RANGE_ENCRYPTED	(1u << 4)

#include "mailbox.h"
#include "guest_arch.h"

void guest_main(struct gmem_guest_mailbox *mb);

static int valid_width(uint64_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static uint32_t valid_flags(uint32_t op)
{
	return op == GMEM_GUEST_SHARE || op == GMEM_GUEST_UNSHARE ? GMEM_GUEST_SINGLE : 0;
}

static int64_t cmd_fill(struct gmem_guest_mailbox *mb, struct gmem_guest_cmd *cmd,
			uint64_t stride)
{
	uint64_t value = cmd->value;
	uint64_t off;

	for (off = 0; off < cmd->size; off += stride) {
		guest_store(mb, cmd->addr + off, 8, value);
		value += cmd->step;
	}
	return 0;
}

static int64_t cmd_check(struct gmem_guest_mailbox *mb, struct gmem_guest_cmd *cmd,
			 uint64_t stride)
{
	uint64_t value = cmd->value;
	uint64_t differ = 0;
	uint64_t off, got;

	for (off = 0; off < cmd->size; off += stride) {
		got = guest_load(mb, cmd->addr + off, 8);
		if (got != value && !differ++) {
			cmd->bad_addr = cmd->addr + off;
			cmd->bad_value = got;
		}
		value += cmd->step;
	}
	cmd->result = differ;
	return differ ? -EILSEQ : 0;
}

static int64_t cmd_convert(struct gmem_guest_mailbox *mb,
			   struct gmem_guest_cmd *cmd, uint64_t attributes)
{
	uint64_t pages = cmd->size / GMEM_GUEST_PAGE_SIZE;
	bool single = cmd->flags & GMEM_GUEST_SINGLE;
	uint64_t done;
	int64_t ret;

	cmd->result = 0;
	if (!pages)
		return -EINVAL;
	do {
		ret = guest_map_gpa_range(mb, cmd->addr + cmd->result * GMEM_GUEST_PAGE_SIZE,
					  single ? 0 : pages - cmd->result, attributes,
					  &done);
		cmd->result += done;
	} while (!ret && done && cmd->result < pages);
	return ret;
}

static void cmd_spin(struct gmem_guest_mailbox *mb, struct gmem_guest_cmd *cmd)
{
	volatile uint64_t i;

	for (i = 0; i < cmd->value; i++) {
		if (*(volatile uint32_t *)&mb->stop)
			return;
	}
}

static int64_t cmd_execute(struct gmem_guest_mailbox *mb,
			   struct gmem_guest_cmd *cmd)
{
	uint64_t stride = cmd->stride ? cmd->stride : 8;

	if (stride % 8 || cmd->flags & ~valid_flags(cmd->op))
		return -EINVAL;

	switch (cmd->op) {
	case GMEM_GUEST_NOP:
		return 0;
	case GMEM_GUEST_LOAD:
		if (!valid_width(cmd->size))
			return -EINVAL;
		cmd->result = guest_load(mb, cmd->addr, cmd->size);
		return 0;
	case GMEM_GUEST_STORE:
		if (!valid_width(cmd->size))
			return -EINVAL;
		guest_store(mb, cmd->addr, cmd->size, cmd->value);
		return 0;
	case GMEM_GUEST_FILL:
		return cmd_fill(mb, cmd, stride);
	case GMEM_GUEST_CHECK:
		return cmd_check(mb, cmd, stride);
	case GMEM_GUEST_SHARE:
		return cmd_convert(mb, cmd, 0);
	case GMEM_GUEST_UNSHARE:
		return cmd_convert(mb, cmd, MAP_GPA_RANGE_ENCRYPTED);
	case GMEM_GUEST_SPIN:
		cmd_spin(mb, cmd);
		return 0;
	case GMEM_GUEST_POWER_ON:
		return guest_power_on(cmd->value);
	default:
		return -EINVAL;
	}
}

/* One round; 1 to go on, 0 to end: a command failed or the host said stop. */
static int execute_round(struct gmem_guest_mailbox *mb)
{
	uint32_t i;

	for (i = 0; i < mb->nr_cmds && i < GMEM_GUEST_MAX_CMDS; i++) {
		struct gmem_guest_cmd *cmd = &mb->cmds[i];

		if (*(volatile uint32_t *)&mb->stop)
			return 0;
		cmd->status = cmd_execute(mb, cmd);
		if (cmd->status) {
			mb->status = (int32_t)cmd->status;
			return 0;
		}
	}
	mb->rounds++;
	return 1;
}

void guest_main(struct gmem_guest_mailbox *mb)
{
	for (;;) {
		uint32_t seq = *(volatile uint32_t *)&mb->seq;

		guest_barrier();
		if (seq != mb->done_seq) {
			uint64_t repeat = mb->repeat;

			mb->status = 0;
			mb->rounds = 0;
			while (execute_round(mb)) {
				if (repeat && mb->rounds >= repeat)
					break;
			}
			guest_barrier();
			*(volatile uint32_t *)&mb->done_seq = seq;
		}
		guest_exit(mb, seq);
		guest_barrier();
	}
}
