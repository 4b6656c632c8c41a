# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""What the programs in scripts/ share: cache layout, messages, kernel trees."""
