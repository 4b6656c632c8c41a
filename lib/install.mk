# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# make install DESTDIR=dir PREFIX=dir: both libraries, headers, gmem.pc, pages, gmemctl.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
INSTALL ?= install

# The uAPI's place, out of the way of the system's own <linux/...>: the file is the
# kernel's, and one with a newer <linux/kvm.h> includes it by itself.
UAPI_SUBDIR := gmem/uapi

INSTALL_HEADERS := $(wildcard include/gmem/*.h)
INSTALL_A := $(LIB_OUT)/static/libgmem.a
OBJCOPY ?= $(shell $(CC) -print-prog-name=objcopy)

# One object, of which nothing shows but what the shared library shows.
$(INSTALL_A): $(LIB_OBJS) lib/install.mk
	@mkdir -p $(@D)
	$(CC) -r -nostdlib -o $(@D)/gmem.o $(LIB_OBJS)
	$(OBJCOPY) --localize-hidden $(@D)/gmem.o
	rm -f $@
	$(AR) rcs $@ $(@D)/gmem.o

.PHONY: install install-build
install-build: $(LIB_SO) $(INSTALL_A) $(BUILD)/bin/gmemctl man

install: install-build
	$(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' \
		'$(DESTDIR)$(INCLUDEDIR)/gmem' \
		'$(DESTDIR)$(INCLUDEDIR)/$(UAPI_SUBDIR)/linux' \
		$(foreach section,$(MAN_SECTIONS),'$(DESTDIR)$(MANDIR)/man$(section)')
	$(INSTALL) -m 755 $(LIB_SO) '$(DESTDIR)$(LIBDIR)/$(LIB_SONAME).$(LIB_MINOR)'
	ln -sf $(LIB_SONAME).$(LIB_MINOR) '$(DESTDIR)$(LIBDIR)/$(LIB_SONAME)'
	ln -sf $(LIB_SONAME) '$(DESTDIR)$(LIBDIR)/libgmem.so'
	$(INSTALL) -m 644 $(INSTALL_A) '$(DESTDIR)$(LIBDIR)/libgmem.a'
	$(INSTALL) -m 644 $(INSTALL_HEADERS) '$(DESTDIR)$(INCLUDEDIR)/gmem'
	$(INSTALL) -m 644 linux/include/uapi/linux/kvm_gmem.h \
		'$(DESTDIR)$(INCLUDEDIR)/$(UAPI_SUBDIR)/linux'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' -e 's|@UAPI@|$(UAPI_SUBDIR)|' \
		-e 's|@VERSION@|$(LIB_VERSION)|' -e 's|@LIBS@|$(GMEM_LIBS)|' \
		lib/gmem.pc.in >'$(DESTDIR)$(LIBDIR)/pkgconfig/gmem.pc'
	chmod 644 '$(DESTDIR)$(LIBDIR)/pkgconfig/gmem.pc'
	$(INSTALL) -m 755 $(BUILD)/bin/gmemctl '$(DESTDIR)$(BINDIR)'
	$(foreach section,$(MAN_SECTIONS),$(INSTALL) -m 644 $(MAN_OUT)/*.$(section) \
		'$(DESTDIR)$(MANDIR)/man$(section)' &&) true
