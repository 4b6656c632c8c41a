// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Messages.  An engine's log receives those about its objects; the process's log
 * (gmem_set_log()) those that belong to no engine with a log.
 *
 * default_lock guards the process's log.  It is not held while that is called.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static gmem_log_fn default_log;
static void *default_opaque;

GMEM_API void gmem_set_log(gmem_log_fn log, void *opaque)
{
	pthread_mutex_lock(&default_lock);
	default_log = log;
	default_opaque = opaque;
	pthread_mutex_unlock(&default_lock);
}

void gmem_log(const struct gmem_engine *engine, int level, const char *format, ...)
{
	gmem_log_fn log = engine ? engine->log : NULL;
	void *opaque = engine ? engine->log_opaque : NULL;
	char line[512];
	va_list args;

	if (!log) {
		pthread_mutex_lock(&default_lock);
		log = default_log;
		opaque = default_opaque;
		pthread_mutex_unlock(&default_lock);
	}
	if (!log)
		return;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log(opaque, level, line);
}

int gmem_refuse_with(const struct gmem_engine *engine, int ret,
		     const char *function, const char *why)
{
	gmem_log(engine, GMEM_LOG_ERROR, "%s: %s", function, why);
	return ret;
}

int gmem_report_of(const struct gmem_engine *engine, int ret, const char *function)
{
	int level = GMEM_LOG_ERROR;

	switch (ret) {
	/* What a VMM that makes no mistake gets, too. */
	case -EAGAIN:
	case -EINTR:
	case -EPERM:
	case -EOPNOTSUPP:
	case -EHWPOISON:
		level = GMEM_LOG_DEBUG;
	}
	if (ret < 0)
		gmem_log(engine, level, "%s: %s", function, strerror(-ret));
	return ret;
}
