# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker on another machine, over ssh: the same wire, with the files that it speaks of travelling beside it.

    here                                     ssh                                     there
    Blender or terminal -- wire -- near.py === wire and frames === far.py -- wire -- an ordinary worker

Nothing listens anywhere: `near` starts ssh, with the user's own keys and settings, and ssh starts `far`. Needs the
standard library only on this side.
"""
