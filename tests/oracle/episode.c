// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * An episode: a VM is made, used by one thread or by several, and ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gmem/emu.h>
#include "world.h"

/* How long an episode is, in operations of a thread. */
#define MIN_OPS		200
#define SPREAD_OPS	1800
/* Before the guest runs, when a pKVM VMM converts freely. */
#define MAX_EARLY_OPS	12

static void plan(struct world *world, const struct oracle_options *options,
		 struct source *source)
{
	/* The last exceeds what one chunk of a mapping or of the map covers. */
	static const unsigned int sizes[] = { 8, 24, 64, 200, MAX_SHARD };
	bool emu = !strcmp(gmem_engine_name(options->engine), "emu");
	uint64_t draw;

	if (options->data) {
		draw = options->bytes ? options->data[0] : 0;
		source->data = options->data + (options->bytes > 0);
		source->left = options->bytes - (options->bytes > 0);
		world->max_ops = UINT64_MAX;
	} else {
		draw = source_draw(source);
		world->max_ops = MIN_OPS + draw / 4096 % SPREAD_OPS;
	}
	world->engine = options->engine;
	world->platform = options->platform;
	world->emu = emu;
#ifdef __aarch64__
	world->mute = !emu && options->platform != GMEM_VM_PKVM;
#endif
	world->nr_actors = options->data ? 1 : options->threads;
	world->init_shared = draw & 1;
	world->encrypted = draw & 2 && emu && options->platform == GMEM_VM_SNP;
	for (unsigned int i = 0; i < world->nr_actors; i++) {
		world->actors[i].world = world;
		world->actors[i].id = i;
		world->actors[i].nr = sizes[(draw >> 2) % 5];
		world->actors[i].first = NR_COMMONS + i * world->actors[i].nr;
	}
	world->nr_pages = NR_COMMONS + world->nr_actors * world->actors[0].nr;
}

static int create_memory(struct world *world)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = world->nr_pages * PAGE,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE |
			 (world->init_shared ? GUEST_MEMFD_FLAG_INIT_SHARED : 0),
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = WORLD_GPA, .bytes = options.bytes,
	};
	void *addr;
	int ret;

	ret = gmem_file_create(world->vm, &options, &world->file);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < NR_VIEWS; i++) {
		ret = gmem_file_map(world->file, 0, options.bytes, &addr);
		if (ret)
			return ret;
		world->views[i] = addr;
	}
	slot.file = world->file;
	return gmem_slot_set(world->vm, &slot);
}

static int create_vcpus(struct world *world)
{
	/* Only pKVM's get stuck. */
	unsigned int each = world->platform == GMEM_VM_PKVM ?
			    MAX_VCPUS / world->nr_actors : 1;
	uint32_t id = 0;
	int ret;

	if (each > 4)
		each = 4;
	for (unsigned int i = 0; i < world->nr_actors; i++) {
		struct actor *actor = &world->actors[i];

		for (; actor->nr_vcpus < each; actor->nr_vcpus++) {
			ret = gmem_vcpu_create(world->vm, id++,
					       &actor->vcpus[actor->nr_vcpus]);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static int create_model(struct world *world)
{
	world->published = calloc(world->nr_pages, sizeof(*world->published));
	if (!world->published)
		return -ENOMEM;
	for (unsigned int i = 0; i < world->nr_actors; i++) {
		struct actor *actor = &world->actors[i];

		actor->pages = calloc(actor->nr, sizeof(*actor->pages));
		if (!actor->pages)
			return -ENOMEM;
		for (uint64_t page = 0; page < actor->nr; page++)
			actor->pages[page].state = world->init_shared ? SHARED : PRIVATE;
	}
	return 0;
}

static int create(struct world *world)
{
	struct gmem_vm_options options = {
		.size = sizeof(options), .platform = world->platform,
	};
	int ret;

	ret = create_model(world);
	if (!ret)
		ret = gmem_vm_create(world->engine, &options, &world->vm);
	if (!ret && world->encrypted)
		ret = gmem_emu_set_property(world->vm, GMEM_EMU_ENCRYPTED, 1);
	if (!ret)
		ret = gmem_guest_setup(world->vm);
	if (!ret)
		ret = create_memory(world);
	return ret ? ret : create_vcpus(world);
}

static void destroy(struct world *world)
{
	for (unsigned int i = 0; i < world->nr_actors; i++) {
		for (unsigned int v = 0; v < MAX_VCPUS; v++)
			gmem_vcpu_destroy(world->actors[i].vcpus[v]);
		free(world->actors[i].pages);
	}
	for (unsigned int i = 0; i < NR_VIEWS; i++) {
		if (world->views[i])
			gmem_file_unmap(world->file, world->views[i],
					world->nr_pages * PAGE);
	}
	gmem_file_close(world->file);
	gmem_vm_destroy(world->vm);
	free(world->published);
}

/* What the VMM does before there is a guest to ask. */
static void prepare(struct world *world)
{
	unsigned int nr_early = world->max_ops % MAX_EARLY_OPS;
	struct op op;

	for (unsigned int i = 0; i < world->nr_actors; i++) {
		struct actor *actor = &world->actors[i];

		for (unsigned int n = 0; n < nr_early; n++) {
			if (!op_next(&actor->source, &op, actor))
				break;
			if (op.kind <= OP_HOST_WRITE && op.kind != OP_ASK)
				act(actor, &op);
		}
	}
}

static int start_guest(struct world *world)
{
	struct gmem_guest_cmd touch = {
		.op = GMEM_GUEST_FILL, .addr = WORLD_GPA, .size = NR_COMMONS * PAGE,
		.stride = WORD_STRIDE,
	};
	struct gmem_guest_cmd nop = { .op = GMEM_GUEST_NOP };
	int ret;

	for (unsigned int i = 0; i < world->nr_actors; i++) {
		ret = gmem_guest_exec(world->actors[i].vcpus[0], &nop, 1, ZERO, NULL);
		if (ret)
			return ret;
	}
	world->running = true;
	if (world->platform != GMEM_VM_PKVM)
		return 0;
	/* So that no later access to the commons can get stuck. */
	if (world->init_shared) {
		ret = gmem_guest_share(world->actors[0].vcpus[0], WORLD_GPA,
				       NR_COMMONS * PAGE, READABLE);
		if (ret)
			return ret;
	}
	return gmem_guest_exec(world->actors[0].vcpus[0], &touch, 1, ZERO, NULL);
}

static void *run_actor(void *opaque)
{
	struct actor *actor = opaque;
	struct world *world = actor->world;
	struct op op;

	while (actor->nr_ops < world->max_ops && !world_failed(world) &&
	       op_next(&actor->source, &op, actor))
		act(actor, &op);
	return NULL;
}

/* In the end everybody looks at everything. */
static void check_all(struct actor *actor)
{
	const struct op op = { .first = actor->first, .nr = actor->nr };

	actor->nr_ops++;
	snprintf(actor->remembered[actor->nr_ops % NR_REMEMBERED],
		 sizeof(actor->remembered[0]), "look at everything");
	act_attributes(actor, &op);
	for (uint64_t i = 0; i < actor->nr && !world_failed(actor->world); i += 16) {
		struct op some = op;

		some.first += i;
		some.nr = actor->nr - i < 16 ? actor->nr - i : 16;
		some.extra = 1;
		act_host_read(actor, &some);
	}
}

static int run_threads(struct world *world)
{
	int ret = 0;

	if (world->nr_actors == 1) {
		run_actor(&world->actors[0]);
	} else {
		unsigned int started = 0;

		while (started < world->nr_actors && !ret) {
			struct actor *actor = &world->actors[started];

			ret = -pthread_create(&actor->thread, NULL, run_actor, actor);
			started += !ret;
		}
		for (unsigned int i = 0; i < started; i++)
			pthread_join(world->actors[i].thread, NULL);
	}
	for (unsigned int i = 0; i < world->nr_actors && !ret; i++)
		check_all(&world->actors[i]);
	if (!ret)
		check_commons(world);
	return ret;
}

int oracle_episode(const struct oracle_options *options, struct oracle_result *result)
{
	struct source source = { .state = options->seed };
	struct world *world;
	int ret;

	world = calloc(1, sizeof(*world));
	if (!world)
		return -ENOMEM;
	pthread_mutex_init(&world->lock, NULL);
	world->report = result->report;
	plan(world, options, &source);
	for (unsigned int i = 0; i < world->nr_actors; i++) {
		world->actors[i].source = source;
		world->actors[i].source.state = source_draw(&source);
	}
	ret = create(world);
	if (!ret) {
		prepare(world);
		ret = start_guest(world);
	}
	if (!ret && !world->failed)
		ret = run_threads(world);
	for (unsigned int i = 0; i < world->nr_actors; i++) {
		result->operations += world->actors[i].nr_ops;
		result->conversions += world->actors[i].counts.conversions;
		result->refusals += world->actors[i].counts.refusals;
		result->faults += world->actors[i].counts.faults;
	}
	if (world->failed)
		ret = 1;
	destroy(world);
	pthread_mutex_destroy(&world->lock);
	free(world);
	return ret;
}
