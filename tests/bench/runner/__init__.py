# SPDX-License-Identifier: Apache-2.0
"""The parts of tests/bench/run. README.md beside that script tells what is measured and how."""
