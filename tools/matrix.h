/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * gmemctl matrix: what was observed, what the design promises, how it is shown.
 */
#ifndef TOOLS_MATRIX_H
#define TOOLS_MATRIX_H

#include "gmemctl.h"

#define NR_POLICIES	4
/* Every policy in both directions, and ENCRYPTED where it has to be opted in. */
#define MAX_CELLS	(2 * NR_POLICIES + 1)

enum seen {
	SEEN_ZEROS,
	SEEN_PATTERN,
	SEEN_OTHER,	/* neither zeros nor a word of the pattern */
	SEEN_MIXED,	/* part of the pattern */
	SEEN_SIGBUS,
	SEEN_FAULT,
	SEEN_ERROR,
	SEEN_REFUSED,	/* only of converting again: with @again_answer */
};

enum frame {
	FRAME_UNKNOWN,
	FRAME_SAME,
	FRAME_OTHER,
	FRAME_NONE,	/* DESTROY gives the memory back */
	FRAME_MEANINGLESS,
};

struct cell {
	uint32_t policy;
	bool to_private;
	bool opted_in;
	int answer;
	uint64_t converted;
	enum seen host;
	enum seen guest;
	enum seen again;	/* DESTROY: what a later conversion shows */
	int again_answer;
	enum frame frame;
	bool as_announced;
	bool as_designed;
};

struct matrix {
	struct target target;
	const char *engine;
	size_t nr_cells;
	struct cell cells[MAX_CELLS];
};

/* ---- matrix_design.c ---- */

/* Is this what design.md's table says of the platform? */
bool cell_as_designed(uint32_t platform, const struct cell *cell);

/* ---- matrix_show.c ---- */

void matrix_print(const struct matrix *matrix, bool name_platform);
void matrix_print_notes(const struct matrix *matrices, size_t nr);
void matrix_print_json(const struct matrix *matrices, size_t nr, bool all);

#endif /* TOOLS_MATRIX_H */
