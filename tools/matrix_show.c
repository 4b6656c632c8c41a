// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl matrix: the table, for people and for programs.
 */
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

#include "matrix.h"

static const char *const seen_names[] = {
	[SEEN_ZEROS] = "zeros",
	[SEEN_PATTERN] = "the pattern",
	[SEEN_OTHER] = "other bytes",
	[SEEN_MIXED] = "some of it",
	[SEEN_SIGBUS] = "SIGBUS",
	[SEEN_FAULT] = "memory fault",
	[SEEN_ERROR] = "error",
	[SEEN_REFUSED] = "refused",
};

static const char *const frame_names[] = {
	[FRAME_UNKNOWN] = "not known",
	[FRAME_SAME] = "same",
	[FRAME_OTHER] = "another",
	[FRAME_NONE] = "-",
	[FRAME_MEANINGLESS] = "(no meaning)",
};

/* What bytes are that nobody wrote follows from what was done. */
static const char *seen_name(const struct cell *cell, enum seen seen)
{
	if (seen != SEEN_OTHER)
		return seen_names[seen];
	switch (cell->policy) {
	case SET_MEMORY_ATTRIBUTES_CONTENT_ZERO:
		return "undefined";
	case SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED:
		return "ciphertext";
	default:
		return seen_names[seen];
	}
}

static void print_cell(const struct matrix *matrix, const struct cell *cell,
		       bool name_platform)
{
	char policy[24];

	if (name_platform)
		printf("%-6s ", gmem_platform_name(matrix->target.platform));
	snprintf(policy, sizeof(policy), "%s%s", gmem_policy_name(cell->policy),
		 cell->opted_in ? "*" : "");
	printf("%-10s %-9s %-12s %-13s %-13s %s%s%s\n", policy,
	       cell->to_private ? "private" : "shared", errno_word(cell->answer),
	       seen_name(cell, cell->host), seen_name(cell, cell->guest),
	       frame_names[cell->frame],
	       cell->as_announced ? "" : "   <-- not as announced",
	       cell->as_designed ? "" : "   <-- departs from the design");
}

void matrix_print(const struct matrix *matrix, bool name_platform)
{
	printf("%s%-10s %-9s %-12s %-13s %-13s %s\n",
	       name_platform ? "VM     " : "", "policy", "towards", "answer",
	       "host reads", "guest reads", "page frame");
	for (size_t i = 0; i < matrix->nr_cells; i++)
		print_cell(matrix, &matrix->cells[i], name_platform);
}

static bool any_cell(const struct matrix *matrices, size_t nr,
		     bool (*is)(const struct cell *cell))
{
	for (size_t i = 0; i < nr; i++) {
		for (size_t c = 0; c < matrices[i].nr_cells; c++) {
			if (is(&matrices[i].cells[c]))
				return true;
		}
	}
	return false;
}

static bool zeros_again(const struct cell *cell)
{
	return cell->frame == FRAME_NONE && cell->again == SEEN_ZEROS;
}

static bool refused_again(const struct cell *cell)
{
	return cell->frame == FRAME_NONE && cell->again == SEEN_REFUSED;
}

static bool is_opted_in(const struct cell *cell)
{
	return cell->opted_in;
}

static bool frame_meaningless(const struct cell *cell)
{
	return cell->frame == FRAME_MEANINGLESS;
}

static bool is_undefined(const struct cell *cell)
{
	return cell->policy == SET_MEMORY_ATTRIBUTES_CONTENT_ZERO &&
	       cell->guest == SEEN_OTHER;
}

static bool not_announced(const struct cell *cell)
{
	return !cell->as_announced;
}

static bool not_designed(const struct cell *cell)
{
	return !cell->as_designed;
}

void matrix_print_notes(const struct matrix *matrices, size_t nr)
{
	putchar('\n');
	if (any_cell(matrices, nr, zeros_again))
		puts("After DESTROY, pages that were converted again read zeros.");
	if (any_cell(matrices, nr, refused_again))
		puts("After DESTROY under pKVM the page is the guest's no more: EL2 refuses "
		     "its call to share\nit again (EINVAL).");
	if (any_cell(matrices, nr, is_undefined))
		puts("undefined: what the guest's key makes of the bytes that lie there; none "
		     "of them is\nwhat was there before.");
	if (any_cell(matrices, nr, is_opted_in))
		puts("ENCRYPTED*: with the platform's opt-in property, else it is refused.");
	if (any_cell(matrices, nr, frame_meaningless))
		puts("(no meaning): under ZERO emu gives the memory back, and whoever reads "
		     "next gets new.");
	putchar('\n');
	puts(any_cell(matrices, nr, not_announced) ?
	     "Some answers depart from the capabilities." :
	     "Every answer is what the capabilities announce.");
	puts(any_cell(matrices, nr, not_designed) ?
	     "Some cells depart from the design's table." :
	     "Every cell is what the design's table says.");
}

static void add_text(json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

static json_object *cell_object(const struct cell *cell)
{
	json_object *object = json_object_new_object();
	bool frame = cell->frame != FRAME_NONE && cell->frame != FRAME_MEANINGLESS;

	add_text(object, "policy", gmem_policy_name(cell->policy));
	add_text(object, "towards", cell->to_private ? "private" : "shared");
	json_object_object_add(object, "opted_in",
			       json_object_new_boolean(cell->opted_in));
	add_text(object, "answer", errno_word(cell->answer));
	json_object_object_add(object, "converted",
			       json_object_new_int64((int64_t)cell->converted));
	add_text(object, "host_reads", seen_name(cell, cell->host));
	add_text(object, "guest_reads", seen_name(cell, cell->guest));
	add_text(object, "page_frame", frame ? frame_names[cell->frame] : NULL);
	add_text(object, "converted_again_reads",
		 cell->frame != FRAME_NONE ? NULL :
		 cell->again == SEEN_REFUSED ? errno_word(cell->again_answer) :
		 seen_names[cell->again]);
	json_object_object_add(object, "as_announced",
			       json_object_new_boolean(cell->as_announced));
	json_object_object_add(object, "as_designed",
			       json_object_new_boolean(cell->as_designed));
	return object;
}

static json_object *matrix_object(const struct matrix *matrix)
{
	json_object *object = json_object_new_object();
	json_object *cells = json_object_new_array();

	add_text(object, "engine", matrix->engine);
	add_text(object, "platform", gmem_platform_name(matrix->target.platform));
	for (size_t i = 0; i < matrix->nr_cells; i++)
		json_object_array_add(cells, cell_object(&matrix->cells[i]));
	json_object_object_add(object, "cells", cells);
	return object;
}

void matrix_print_json(const struct matrix *matrices, size_t nr, bool all)
{
	json_object *root;

	if (all) {
		root = json_object_new_array();
		for (size_t i = 0; i < nr; i++)
			json_object_array_add(root, matrix_object(&matrices[i]));
	} else {
		root = matrix_object(&matrices[0]);
	}
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED));
	json_object_put(root);
}
