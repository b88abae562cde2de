# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours and relief of a dense mesh as textures of a light one. Cycles traces the rays, in a scene of its own, so that
nothing of the user's scene is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from . import fit, material
from .errors import CannotChange

SAMPLES = 8
"""Rays per texel: a texel shows more than one of the dense texture's, and edges of charts are smooth by it."""

MARGIN = 8
"""Texels around each chart that get its colours too."""

REACH = 1.5
"""The rays begin outside at this many times the largest distance between the two surfaces thereabouts."""

SHORTEST, LONGEST = 0.002, 0.1
"""Of the thing's longest side, the least and the most for that."""

CLOSE = 0.01
"""Of that, the least where another part of the thing stands opposite."""

_PROBES = 20_000


def blank(name: str, size: int, is_data: bool = False) -> bpy.types.Image:
    """A square image to bake into. is_data: it holds no colours."""
    return bpy.data.images.new(material.free_name(name, ".png"), size, size, alpha=False, is_data=is_data)


def onto(
    context: bpy.types.Context,
    dense: bpy.types.Object,
    light: bpy.types.Object,
    colours: bpy.types.Image,
    normals: bpy.types.Image | None,
) -> None:
    """Fills the images, which are in the light object's material, and packs them. Needs Cycles, else CannotChange."""
    reach = _reach(dense, light)
    with _glowing(dense) as source, _caged(light, reach) as cage, _studio(context, source, light, cage):
        for kind, image in (("EMIT", colours), ("NORMAL", normals)):
            if image:
                _bake(light, cage, kind, image, 2.0 * max(reach))
    for image in filter(None, (colours, normals)):
        image.pack()
        material.as_file(image)


def _bake(light: bpy.types.Object, cage: bpy.types.Object, kind: str, image: bpy.types.Image, longest: float) -> None:
    """Onto the active object from the other one that is selected."""
    [surface] = light.data.materials
    before = surface.node_tree.nodes.active
    surface.node_tree.nodes.active = next(
        node for node in surface.node_tree.nodes if node.type == "TEX_IMAGE" and node.image == image
    )
    bpy.ops.object.bake(
        type=kind,
        use_selected_to_active=True,
        use_cage=True,
        cage_object=cage.name,
        max_ray_distance=longest,
        margin=MARGIN,
        use_clear=True,
        target="IMAGE_TEXTURES",
        save_mode="INTERNAL",
    )
    surface.node_tree.nodes.active = before


@contextmanager
def _studio(
    context: bpy.types.Context, source: bpy.types.Object, target: bpy.types.Object, cage: bpy.types.Object
) -> Iterator[None]:
    """The window's scene is one with these alone, source and target selected and this active, for Cycles on the
    processor.

    Not an overridden context: Blender lets other threads have Python while it bakes, and crashes at the end of that
    where one of them happens to have it (timer._add_when_possible).
    """
    before, scene = context.window.scene, bpy.data.scenes.new("Image to 3D Bake")
    try:
        try:
            scene.render.engine = "CYCLES"
        except TypeError:
            raise CannotChange("Baking needs Cycles: enable it in Preferences > Add-ons") from None
        scene.cycles.device, scene.cycles.samples = "CPU", SAMPLES
        for thing in (source, target, cage):
            scene.collection.objects.link(thing)
        context.window.scene = scene
        for thing in (source, target, cage):
            thing.select_set(thing != cage)  # a copy is selected if what it is of was
        context.view_layer.objects.active = target
        yield
    finally:
        context.window.scene = before
        bpy.data.scenes.remove(scene)


@contextmanager
def _glowing(thing: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """A copy that shines in the colours of the thing's texture, without any light."""
    copy = thing.copy()
    copy.hide_render = False
    made = []
    try:
        for slot in copy.material_slots:
            made.append(_emission(slot.material, material.texture(thing)))
            slot.link = "OBJECT"
            slot.material = made[-1]
        yield copy
    finally:
        bpy.data.objects.remove(copy)
        for each in made:
            bpy.data.materials.remove(each)


def _emission(old: bpy.types.Material | None, image: bpy.types.Image | None) -> bpy.types.Material:
    glow = material.textured("Image to 3D Bake", image)
    nodes, links = glow.node_tree.nodes, glow.node_tree.links
    emission = nodes.new("ShaderNodeEmission")
    if image:
        source = next(node for node in nodes if node.type == "TEX_IMAGE")
        links.new(source.outputs["Color"], emission.inputs["Color"])
    elif old:
        emission.inputs["Color"].default_value = old.diffuse_color
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    links.new(emission.outputs[0], output.inputs["Surface"])
    return glow


@contextmanager
def _caged(light: bpy.types.Object, reach: list[float]) -> Iterator[bpy.types.Object]:
    """The light mesh grown to where the rays begin: by `reach` of each vertex, but where another part of it stands
    opposite only halfway there, since from beyond that they would hit the other part."""
    mesh, tree = light.data, fit.tree(light.data)
    cage = light.copy()
    cage.data = mesh.copy()
    for vertex, grown, far in zip(mesh.vertices, cage.data.vertices, reach):
        step = CLOSE * far * vertex.normal  # off its own faces
        opposite = tree.ray_cast(vertex.co + step, vertex.normal, 2.0 * far)[3]
        far = far if opposite is None else min(far, max(CLOSE * far, opposite / 2.0))
        grown.co = vertex.co + far * vertex.normal
    try:
        yield cage
    finally:
        bpy.data.meshes.remove(cage.data)


def _reach(dense: bpy.types.Object, light: bpy.types.Object) -> list[float]:
    """Of each vertex of the light mesh, how far outside it the dense surface may be, in the object's own unit."""
    mesh, tree = light.data, fit.tree(light.data)
    far = [0.0] * len(mesh.vertices)
    vertices = dense.data.vertices
    for i in range(0, len(vertices), max(1, len(vertices) // _PROBES)):
        _, _, face, distance = tree.find_nearest(vertices[i].co)
        for corner in mesh.polygons[face].vertices if face is not None else ():
            far[corner] = max(far[corner], distance)
    around = far[:]
    for a, b in (edge.vertices for edge in mesh.edges):
        around[a], around[b] = max(around[a], far[b]), max(around[b], far[a])
    longest = max(max(axis) - min(axis) for axis in zip(*dense.bound_box))
    return [min(max(REACH * each, SHORTEST * longest), LONGEST * longest) for each in around]
