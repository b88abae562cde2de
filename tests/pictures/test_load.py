# SPDX-License-Identifier: GPL-3.0-or-later
import io

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Unable
from image_to_3d.worker.pictures import load as loading
from image_to_3d.worker.pictures.load import load
from PIL import Image, ImageCms

RED, GREEN, BLUE = (250, 5, 5), (5, 250, 5), (5, 5, 250)


def corners(mode: str = "RGB", size: int = 64) -> Image.Image:
    """Red top left, green top right, blue below."""
    picture = Image.new("RGB", (size * 2, size), BLUE)
    picture.paste(RED, (0, 0, size, size // 2))
    picture.paste(GREEN, (size, 0, size * 2, size // 2))
    return picture.convert(mode)


def check_corners(rgb: np.ndarray, tolerance: int = 40) -> None:
    height, width = rgb.shape[:2]
    for (row, column), colour in {(0.2, 0.2): RED, (0.2, 0.8): GREEN, (0.8, 0.5): BLUE}.items():
        found = rgb[int(row * height), int(column * width)].astype(int)
        assert np.abs(found - colour).max() <= tolerance, (row, column, found)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "bmp", "gif", "heic"])
def test_every_usual_format_is_read(tmp_path, ending):
    if ending == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    corners().save(tmp_path / f"photo.{ending}")
    picture = load(tmp_path / f"photo.{ending}")
    assert picture.rgb.shape == (64, 128, 3) and picture.rgb.dtype == np.uint8
    assert picture.name == "photo" and picture.alpha is None
    check_corners(picture.rgb)


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "LAB"])
def test_every_colour_mode_keeps_its_colours(tmp_path, mode):
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            corners(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = corners(mode)
    image.save(tmp_path / "photo.tiff")
    check_corners(load(tmp_path / "photo.tiff").rgb, tolerance=60)  # a palette is coarse


def test_grey_becomes_grey(tmp_path):
    corners("L").save(tmp_path / "photo.png")
    rgb = load(tmp_path / "photo.png").rgb
    assert rgb.shape == (64, 128, 3) and (rgb[..., 0] == rgb[..., 2]).all() and rgb.std() > 5


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_sixteen_bits_of_grey_are_scaled_and_not_clipped(tmp_path, ending):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    Image.fromarray(ramp).save(tmp_path / f"deep.{ending}")
    rgb = load(tmp_path / f"deep.{ending}").rgb
    assert np.abs(rgb[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_floating_point_pictures_are_scaled(tmp_path):
    Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(4, 0)).save(tmp_path / "float.tiff")
    assert np.abs(load(tmp_path / "float.tiff").rgb[0, :, 1].astype(int) - np.arange(256)).max() <= 1


def test_transparency_is_kept_apart_and_opaque_alpha_is_none(tmp_path):
    image = corners("RGBA")
    image.putalpha(255)
    image.save(tmp_path / "opaque.png")
    assert load(tmp_path / "opaque.png").alpha is None
    image.putpixel((0, 0), (1, 2, 3, 0))
    image.save(tmp_path / "cut.png")
    picture = load(tmp_path / "cut.png")
    assert picture.alpha[0, 0] == 0 and picture.alpha[1, 1] == 255
    check_corners(picture.rgb)


def test_a_palette_with_a_transparent_colour_has_alpha(tmp_path):
    corners("P").save(tmp_path / "p.png", transparency=corners("P").getpixel((0, 63)))
    picture = load(tmp_path / "p.png")
    assert picture.alpha[63, 0] == 0 and picture.alpha[0, 0] == 255


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_exif_turn_shows_the_picture_upright(tmp_path, turn):
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL.Image.Transpose that the viewer's turn undoes
    image = corners() if turn == 1 else corners().transpose(Image.Transpose(undo[turn]))
    exif = Image.Exif()
    exif[0x0112] = turn
    image.save(tmp_path / "turned.png", exif=exif)
    picture = load(tmp_path / "turned.png")
    assert picture.rgb.shape == (64, 128, 3)
    check_corners(picture.rgb)


def test_an_animation_gives_its_first_picture_and_says_so(tmp_path):
    corners().save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (128, 64))], duration=10)
    picture = load(tmp_path / "a.gif")
    check_corners(picture.rgb)
    assert any("first" in note for note in picture.notes)


def test_the_picture_is_recognised_by_what_it_is_and_not_by_its_name(tmp_path):
    corners().save(tmp_path / "photo.jpg")
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.png")
    check_corners(load(tmp_path / "photo.png").rgb)


def test_a_wide_gamut_profile_is_turned_into_srgb(tmp_path):
    # a profile with red and green swapped, so that ignoring it cannot go unseen
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ").replace(b"tmp!", b"gXYZ")
    Image.new("RGB", (8, 8), RED).save(tmp_path / "p.png", icc_profile=swapped)
    assert load(tmp_path / "p.png").rgb[0, 0].argmax() == 1


def test_a_broken_profile_is_ignored(tmp_path):
    corners().save(tmp_path / "p.png", icc_profile=b"this is no profile")
    check_corners(load(tmp_path / "p.png").rgb)


def test_the_field_of_view_comes_from_the_35_mm_focal_length(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.new("RGB", (400, 300)).save(tmp_path / "phone.jpg", exif=exif)
    # diagonal 43.27 mm, longer side 0.8 of it: 34.6 mm in front of 26 mm
    assert load(tmp_path / "phone.jpg").fov_degrees == pytest.approx(67.3, abs=0.2)
    Image.new("RGB", (400, 300)).save(tmp_path / "plain.jpg")
    assert load(tmp_path / "plain.jpg").fov_degrees is None


@pytest.mark.parametrize("focal", [0, 1, 65535])
def test_a_senseless_focal_length_is_not_believed(tmp_path, focal):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = focal
    Image.new("RGB", (40, 30)).save(tmp_path / "odd.jpg", exif=exif)
    assert load(tmp_path / "odd.jpg").fov_degrees is None


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_huge_pictures_are_made_smaller(tmp_path, monkeypatch, mode, ending):
    monkeypatch.setattr(loading, "MAX_SIDE", 100)
    if ending == "jpg" and mode in ("P", "RGBA"):
        pytest.skip("JPEG has no such mode")
    corners(mode, 400).save(tmp_path / f"big.{ending}")
    picture = load(tmp_path / f"big.{ending}")
    assert picture.rgb.shape == (50, 100, 3)
    if mode != "L":
        check_corners(picture.rgb)


def test_a_huge_deep_picture_is_made_smaller_and_keeps_its_values(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MAX_SIDE", 100)
    Image.fromarray(np.full((300, 500), 32768, np.uint16)).save(tmp_path / "deep.png")
    rgb = load(tmp_path / "deep.png").rgb
    assert max(rgb.shape) <= 100 and np.abs(rgb.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_the_smallest_pictures_are_read(tmp_path, size):
    Image.new("RGB", size, RED).save(tmp_path / "dot.png")
    assert load(tmp_path / "dot.png").rgb.shape == (size[1], size[0], 3)


def content(ending: str) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save(buffer, ending)
    return buffer.getvalue()


@pytest.mark.parametrize("ending", ["jpeg", "png", "webp", "tiff", "gif", "bmp"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_refused(tmp_path, ending, share):
    whole = content(ending)
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / "cut")


def refused(path) -> str:
    with pytest.raises(Unable) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and (path.name in message or str(path) in message)
    return message


@pytest.mark.parametrize("ending", ["jpeg", "png", "webp", "tiff", "gif", "bmp"])
def test_damaged_files_give_a_picture_or_one_sentence(tmp_path, ending):
    generator, whole = np.random.default_rng(1), content(ending)
    for trial in range(40):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 1 + trial):
            damaged[place] = generator.integers(0, 256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            assert load(tmp_path / "damaged").rgb.ndim == 3
        except Unable as error:
            assert "\n" not in str(error)


def test_what_is_no_picture_is_refused_and_named(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty" in refused(tmp_path / "empty.png")
    (tmp_path / "drawing.png").write_bytes(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')
    assert "SVG" in refused(tmp_path / "drawing.png")
    (tmp_path / "notes.jpg").write_bytes(b"dear diary")
    assert "not a picture" in refused(tmp_path / "notes.jpg")
    (tmp_path / "folder.png").mkdir()
    assert "folder" in refused(tmp_path / "folder.png")
    assert "there is no file" in refused(tmp_path / "missing.png")


def test_an_absurd_size_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MAX_PIXELS", 1000)
    corners().save(tmp_path / "absurd.png")
    assert "megapixels" in refused(tmp_path / "absurd.png")


@pytest.mark.parametrize("subject, backdrop", [(40, loading.LIGHT_BACKDROP), (230, loading.DARK_BACKDROP)])
def test_what_hides_behind_transparency_is_replaced_by_a_backdrop_unlike_the_subject(tmp_path, subject, backdrop):
    image = Image.new("RGBA", (3, 1), (123, 45, 67, 0))
    image.putpixel((1, 0), (subject, subject, subject, 255))
    image.putpixel((2, 0), (subject, subject, subject, 128))
    image.save(tmp_path / "cut.png")
    seen = load(tmp_path / "cut.png").on_backdrop()[0, :, 0].tolist()
    assert seen[:2] == [backdrop, subject] and abs(seen[2] - (backdrop + subject) / 2) < 2
