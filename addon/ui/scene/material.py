# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials with a texture, and which texture a mesh has. Must not know files of ours."""

from __future__ import annotations

import hashlib
import os

import bpy

_SPACING = 300.0  # between two nodes


def textured(
    name: str,
    image: bpy.types.Image | None,
    roughness: float = 0.9,
    masked: bool = False,
    normal_map: bpy.types.Image | None = None,
) -> bpy.types.Material:
    """A new material that shows the image. masked: its alpha cuts parts away."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    surface = principled(material) or nodes.new("ShaderNodeBsdfPrincipled")
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    links.new(surface.outputs["BSDF"], output.inputs["Surface"])
    surface.inputs["Metallic"].default_value = 0.0
    surface.inputs["Roughness"].default_value = roughness
    material.roughness = roughness
    if image:
        node = _image_node(material, image, surface.location.y)
        links.new(node.outputs["Color"], surface.inputs["Base Color"])
        if masked:
            _mask(material, node, surface)
    if normal_map:
        _bend(material, normal_map, surface)
    return material


def principled(material: bpy.types.Material) -> bpy.types.ShaderNode | None:
    """The node that makes the surface, None where the user has another."""
    return next((node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"), None)


def texture(thing: bpy.types.Object) -> bpy.types.Image | None:
    """The picture that gives the object its colour."""
    for material in thing.data.materials:
        if material is None or material.node_tree is None:
            continue
        surface = principled(material)
        links = surface.inputs["Base Color"].links if surface else ()
        nodes = [link.from_node for link in links] or list(material.node_tree.nodes)
        for node in nodes:
            if node.type == "TEX_IMAGE" and node.image:
                return node.image
    return None


def packed(name: str, ending: str, data: bytes) -> bpy.types.Image:
    """An encoded picture as an image that lives in the .blend file."""
    image = bpy.data.images.new(free_name(name, ending), 8, 8)
    image.pack(data=data, data_len=len(data))
    as_file(image)
    return image


def as_file(image: bpy.types.Image) -> None:
    """Gives a packed image, which is called as a file is, a name and the path that it would be unpacked to: some
    exporters name files by one, some by the other. A picture of that name beside what is exported is the same, and not
    the photo that the thing was made of."""
    stem, ending = os.path.splitext(image.name)
    digest = hashlib.sha256(image.packed_file.data).hexdigest()[:8]
    image.name = free_name(stem, f"-{digest}{ending}")
    image.source = "FILE"
    image.filepath_raw = f"//{image.name}"


def free_name(name: str, ending: str) -> str:
    """A name for an image that ends as a file's does, also where Blender would add a number: exporters need that."""
    room = 63 - len(ending) - 4  # bytes of a name in Blender, less those of a number
    name = name.encode()[:room].decode(errors="ignore")
    found, number = name + ending, 0
    while found in bpy.data.images:
        number += 1
        found = f"{name}.{number:03d}{ending}"
    return found


def _image_node(material: bpy.types.Material, image: bpy.types.Image, height: float) -> bpy.types.ShaderNode:
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    node.extension = "EXTEND"
    node.location = principled(material).location.x - 2 * _SPACING, height
    material.node_tree.nodes.active = node  # what Solid shading shows
    return node


def _mask(material: bpy.types.Material, image: bpy.types.ShaderNode, surface: bpy.types.ShaderNode) -> None:
    """Opaque or not at all, in the way that glTF exporters know as a mask."""
    step = material.node_tree.nodes.new("ShaderNodeMath")
    step.operation = "ROUND"
    step.location = surface.location.x - _SPACING, surface.location.y - _SPACING
    material.node_tree.links.new(image.outputs["Alpha"], step.inputs[0])
    material.node_tree.links.new(step.outputs[0], surface.inputs["Alpha"])


def _bend(material: bpy.types.Material, normal_map: bpy.types.Image, surface: bpy.types.ShaderNode) -> None:
    active = material.node_tree.nodes.active
    image = _image_node(material, normal_map, surface.location.y - 2 * _SPACING)
    if active:
        material.node_tree.nodes.active = active
    node = material.node_tree.nodes.new("ShaderNodeNormalMap")
    node.location = surface.location.x - _SPACING, surface.location.y - 2 * _SPACING
    material.node_tree.links.new(image.outputs["Color"], node.inputs["Color"])
    material.node_tree.links.new(node.outputs["Normal"], surface.inputs["Normal"])
