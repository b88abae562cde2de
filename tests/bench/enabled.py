# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing this imports `bpy` with the checkout as an enabled extension; scripts of this folder take `bpy` from here.

`module` gives the add-on's modules by name. Its folder is removed at the end of the process.
"""

import atexit
import importlib.util

import checkout

_spec = importlib.util.spec_from_file_location("of_blender", checkout.ROOT / "tests" / "blender" / "conftest.py")
_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tests)
_tests.pytest_configure(_tests)  # before bpy is imported, which looks once where its folders are
atexit.register(_tests.pytest_unconfigure, _tests)

import bpy  # noqa: E402

module = _tests.module
addon_utils = importlib.import_module("addon_utils")  # of Blender's own
bpy.ops.wm.read_factory_settings(use_empty=True)
addon_utils.enable(_tests.MODULE, default_set=True)
