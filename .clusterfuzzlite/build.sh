#!/bin/bash -eux
# Copyright 2026 The Wattest authors
# SPDX-License-Identifier: Apache-2.0
#
# The same build as OSS-Fuzz's.
exec bash -eux oss-fuzz/build.sh
