# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""What the architectures that gmem runs on differ in, for builds and for QEMU."""

import argparse
import dataclasses


@dataclasses.dataclass(frozen=True)
class Arch:
    """One architecture; name is also the kernel's ARCH=."""

    name: str
    prefix: str                 # of the cross compiler's programs
    image: str                  # the kernel, in its build directory
    build_infix: str            # of the names of build directories
    debian: str                 # Debian's name of it
    qemu: str                   # the program
    qemu_package: str
    machine: str                # what it emulates
    cpu: str                    # ... in software
    console: str                # the kernel's
    control: str                # the device of gmem's channel to the host
    control_device: tuple       # ... and QEMU's options for it
    append: str                 # more words for the kernel's command line
    spare_cpus: int             # that jobs do not run on, in software emulation
    hold_vm: bool               # keep a VM from boot on, in software emulation

    def build_name(self, config):
        return f"build-{self.build_infix}{config}"


X86_64 = Arch(
    name="x86_64", prefix="", image="arch/x86/boot/bzImage", build_infix="",
    debian="amd64", qemu="qemu-system-x86_64", qemu_package="qemu-system-x86",
    machine="q35", cpu="EPYC,+svm,+npt", console="ttyS0", control="/dev/ttyS1",
    control_device=("-device", "isa-serial,chardev=control,index=1"),
    append="",
    # QEMU's cpu_clear_ignne() changes a word of the first CPU from whichever thread
    # restores its FPU state, without a lock, and undoes what that CPU does to the
    # same word in VMRUN and #VMEXIT: guests die of triple faults, now and then.
    # CPUs that run no guest have nothing there that could be undone.
    spare_cpus=1, hold_vm=False)
ARM64 = Arch(
    name="arm64", prefix="aarch64-linux-gnu-", image="arch/arm64/boot/Image",
    build_infix="arm64-", debian="arm64",
    qemu="qemu-system-aarch64", qemu_package="qemu-system-arm",
    machine="virt,virtualization=on,gic-version=3",
    # The emulation of newer processors takes nearly twice as long, pointer
    # authentication most of it.  And pKVM gives each VM all the IPA space there is,
    # and walks it when the VM ends: these are 40 bits, not 48 or 52.
    cpu="cortex-a76", console="ttyAMA0", control="/dev/hvc0",
    # One port, so the device is there before the first process is.
    control_device=("-device", "virtio-serial-device,max_ports=1",
                    "-device", "virtconsole,chardev=control"),
    append="kvm-arm.mode=protected", spare_cpus=0,
    # With the first VM and after the last KVM rewrites an instruction of the scheduler,
    # the one that calls kvm_sched_in(). QEMU before 8.1 can keep the old one, if another
    # CPU's thread translates it at that moment: it reads the code first, and notices
    # writes to it only later. A vCPU's thread is then scheduled out, and in again
    # without its vCPU: KVM_RUN spins for ever. A VM that stays, and it is never rewritten.
    hold_vm=True)
ARCHES = {arch.name: arch for arch in (X86_64, ARM64)}


def add_argument(parser):
    """Give a parser the option --arch; its value is an Arch."""
    def by_name(name):
        if name not in ARCHES:
            raise argparse.ArgumentTypeError(
                f"'{name}' is none of {', '.join(ARCHES)}")
        return ARCHES[name]

    parser.add_argument("--arch", metavar="|".join(ARCHES), type=by_name,
                        default=X86_64, help="the architecture (default: x86_64)")
