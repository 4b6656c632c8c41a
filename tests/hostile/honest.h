/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What an honest guest and those who look for its secrets agree on.  Assembly language
 * reads it, too.
 *
 * Each of two vCPUs has some pages of the memory at DATA_GPA.  Every page has the secret in it,
 * twice, but for those that the guest shares: it overwrites the secret before it asks, and
 * writes it again when it was told that the page is its own.  So the secret's bytes are
 * never the VMM's to see.  The code has only their complement.
 */
#ifndef HOSTILE_HONEST_H
#define HOSTILE_HONEST_H

#define HONEST_SECRET		0x5ec2e75ec2e75ec2
#define HONEST_COMPLEMENT	0xa13d18a13d18a13d
#define HONEST_SECOND_PLACE	2048	/* in a page; the first is at 0 */

#define HONEST_VCPUS		2
#define HONEST_PAGES_SHIFT	3
#define HONEST_PAGES		(1 << HONEST_PAGES_SHIFT)	/* of each */

/* The guest stores here when it has written its secrets. */
#define HONEST_READY_GPA	0x30000000

#endif /* HOSTILE_HONEST_H */
