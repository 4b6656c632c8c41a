// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Mappings: sizes that nobody has memory for, patterns that split VMAs, and system
 * calls on memory that nobody touched.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

#define GIB_PAGES	(1ull << 18)
#define CHUNK		512ull

static unsigned int count_maps(void)
{
	unsigned int lines = 0;
	FILE *file;
	int c;

	file = fopen("/proc/self/maps", "re");
	ASSERT(file);
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

/* read(2) into a page; 0 or -errno. */
static int read_into(struct env *env, uint64_t page)
{
	ssize_t ret;
	int fd;

	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ret = read(fd, addr_of(env, page) + 8, 16);
	close(fd);
	return ret == 16 ? 0 : ret < 0 ? -errno : -EIO;
}

/* Every second page of a stretch in each GiB, and the whole of the first ones. */
TEST(checkerboard_over_64_gib)
{
	const uint64_t nr = 64 * GIB_PAGES, whole = 1ull << 15;
	unsigned int maps;
	struct env env;
	uint64_t pages;

	env_open(&env, variant, nr, IN_PLACE);
	maps = count_maps();
	for (uint64_t page = 0; page < whole; page += 2)
		ASSERT_OK(convert(&env, page, 1, SHARED, KEEP));
	for (uint64_t page = whole; page < nr; page += 2 * 1023)
		ASSERT_OK(convert(&env, page, 1, SHARED, ZERO));
	ASSERT(count_maps() < maps + 16);

	for (uint64_t page = 0; page < 64; page += 2) {
		ASSERT_HOST_ZEROS(&env, page, 1);
		ASSERT_HOST_REFUSED(&env, page + 1);
	}
	ASSERT_OK(read_into(&env, whole - 2));
	ASSERT_RET(read_into(&env, whole - 1), -EFAULT);
	ASSERT_OK(convert_count(&env, 0, nr, PRIVATE, ZERO, &pages));
	ASSERT_EQ(pages, whole / 2 + (nr - whole + 2045) / 2046);
	ASSERT_UNIFORM(&env, 0, nr, 'p');
	ASSERT_HOST_REFUSED(&env, 0);
}

/* The other way round: single private pages in shared memory. */
TEST(private_pages_scattered_over_shared_64_gib)
{
	const uint64_t nr = 64 * GIB_PAGES, step = 16 * CHUNK + 1;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE_SHARED);
	for (uint64_t page = 5; page < nr / 8; page += step) {
		ASSERT_OK(convert(&env, page, 1, PRIVATE, KEEP));
		ASSERT_RET(read_into(&env, page), -EFAULT);
		ASSERT_OK(read_into(&env, page + 1));
		ASSERT_OK(read_into(&env, page - 1));
	}
	ASSERT_OK(read_into(&env, nr - 1));
	ASSERT_OK(convert(&env, 0, nr, SHARED, keep_policy(&env)));
	ASSERT_OK(read_into(&env, 5));
}

/* ThreadSanitizer leaves less than that of the address space. */
#ifdef __SANITIZE_THREAD__
#define HUGE_GIB	128
#else
#define HUGE_GIB	1024
#endif

TEST(one_tib_opens_and_converts)
{
	static const uint32_t policies[] = { ZERO, READABLE, DESTROY };
	const uint64_t nr = HUGE_GIB * GIB_PAGES;
	struct env env;
	uint64_t pages;

	env_open(&env, variant, nr, IN_PLACE);
	for (int i = 0; i < 3; i++) {
		uint64_t *last = (uint64_t *)(addr_of(&env, nr) - 8);

		if (!(variant->to_shared & variant->to_private & 1u << policies[i]))
			continue;
		ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(nr - 1), 1));
		ASSERT_OK(convert_count(&env, 0, nr, SHARED, policies[i], &pages));
		ASSERT_EQ(pages, nr);
		if (policies[i] != DESTROY) {
			*last = 7;
			ASSERT_OK(read_into(&env, nr / 2));
		}
		ASSERT_OK(convert_count(&env, 0, nr, PRIVATE, policies[i], &pages));
		ASSERT_EQ(pages, nr);
		ASSERT_HOST_REFUSED(&env, nr - 1);
		ASSERT_HOST_REFUSED(&env, nr / 2);
		ASSERT_OK(convert(&env, 0, nr, PRIVATE, ZERO));
	}
}

TEST(system_calls_work_on_shared_memory_never_touched)
{
	const uint64_t nr = 4 * CHUNK;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE);
	/* A whole chunk, parts of two, one page. */
	ASSERT_OK(convert(&env, CHUNK - 3, CHUNK + 6, SHARED, ZERO));
	ASSERT_OK(convert(&env, nr - 1, 1, SHARED, KEEP));
	for (uint64_t page = CHUNK - 4; page < 2 * CHUNK + 4; page++) {
		bool shared = page >= CHUNK - 3 && page < 2 * CHUNK + 3;

		ASSERT_RET(read_into(&env, page), shared ? 0 : -EFAULT);
	}
	ASSERT_OK(read_into(&env, nr - 1));

	/* Then a page of the whole chunk goes private. */
	ASSERT_OK(convert(&env, 0, nr, SHARED, KEEP));
	ASSERT_OK(convert(&env, 2 * CHUNK + 100, 1, PRIVATE, KEEP));
	for (uint64_t page = 2 * CHUNK + 90; page < 2 * CHUNK + 110; page++)
		ASSERT_RET(read_into(&env, page),
			   page == 2 * CHUNK + 100 ? -EFAULT : 0);
	ASSERT_OK(read_into(&env, 3 * CHUNK - 1));
	ASSERT_OK(read_into(&env, 3 * CHUNK));
}

/* A system call over both gets as far as it may. */
TEST(system_call_ends_at_the_first_private_page)
{
	struct env env;
	int fd;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	ASSERT_OK(convert(&env, 2, 1, PRIVATE, ZERO));
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT_EQ(read(fd, addr_of(&env, 0), 8 * PAGE), 2 * PAGE);
	close(fd);
}

TEST(contents_survive_chunks_that_change_their_guard)
{
	const uint64_t nr = 3 * CHUNK;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE);
	guest_fill(&env, 0, nr, 0x1000);
	for (int i = 0; i < 3; i++) {
		ASSERT_OK(convert(&env, 0, nr, SHARED, KEEP));
		ASSERT_HOST_READS(&env, CHUNK - 1, 2, 0x1000 + (CHUNK - 1) * WORDS);
		ASSERT_OK(convert(&env, CHUNK + 7, 3, PRIVATE, KEEP));
		ASSERT_HOST_READS(&env, 0, CHUNK + 7, 0x1000);
		ASSERT_HOST_REFUSED(&env, CHUNK + 7);
		ASSERT_HOST_REFUSED(&env, CHUNK + 9);
		ASSERT_HOST_READS(&env, CHUNK + 10, 5, 0x1000 + (CHUNK + 10) * WORDS);
		ASSERT_OK(convert(&env, 0, nr, PRIVATE, KEEP));
		ASSERT_HOST_REFUSED(&env, 0);
	}
	ASSERT_GUEST_READS(&env, 0, nr, 0x1000);
}

TEST(views_that_start_anywhere_follow)
{
	const uint64_t nr = 4 * CHUNK, from = CHUNK - 5, pages = CHUNK + 10;
	struct env env, part;
	void *memory;

	env_open(&env, variant, nr, IN_PLACE);
	ASSERT_OK(convert(&env, CHUNK, CHUNK, SHARED, ZERO));
	ASSERT_OK(gmem_file_map(env.file, from * PAGE, pages * PAGE, &memory));
	part = env;
	part.memory = (unsigned char *)memory - from * PAGE;
	for (uint64_t page = from; page < from + pages; page++)
		ASSERT_RET(read_into(&part, page),
			   page >= CHUNK && page < 2 * CHUNK ? 0 : -EFAULT);
	ASSERT_OK(convert(&env, 0, nr, SHARED, KEEP));
	host_fill(&part, from, pages, 0x500);
	ASSERT_HOST_READS(&env, from, pages, 0x500);
	ASSERT_OK(convert(&env, from + 1, 1, PRIVATE, KEEP));
	ASSERT_HOST_REFUSED(&part, from + 1);
	ASSERT_HOST_READS(&part, from, 1, 0x500);
	ASSERT_OK(gmem_file_unmap(env.file, memory, pages * PAGE));
	ASSERT_OK(convert(&env, 0, nr, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, from, pages, 0x500);
}

TEST(punched_shared_memory_stays_usable_in_system_calls)
{
	struct env env;

	env_open(&env, variant, 2 * CHUNK, IN_PLACE_SHARED);
	ASSERT_OK(convert(&env, 3, 1, PRIVATE, ZERO));
	host_fill(&env, 4, 4, 0x100);
	ASSERT_OK(gmem_file_punch_hole(env.file, 0, 2 * CHUNK * PAGE));
	ASSERT_OK(read_into(&env, 5));
	ASSERT_HOST_ZEROS(&env, 4, 4);
	ASSERT_OK(read_into(&env, CHUNK + 5));
	ASSERT_RET(read_into(&env, 3), -EFAULT);
}

/* Shared, untouched memory costs nothing. */
TEST(untouched_memory_is_not_populated)
{
	struct env env;
	uint64_t used;

	env_open(&env, variant, 64 * CHUNK, IN_PLACE);
	for (int i = 0; i < 3; i++) {
		ASSERT_OK(convert(&env, 0, 64 * CHUNK, SHARED, ZERO));
		ASSERT_OK(convert(&env, 0, 64 * CHUNK, PRIVATE, KEEP));
	}
	ASSERT_OK(gmem_emu_set_limit(env.engine, GMEM_EMU_LIMIT_AHEAD, 1ull << 30,
				     &used));
	ASSERT_EQ(used, 0);
}
