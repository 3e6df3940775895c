"""Turns a base64 picture into a base64 thumbnail."""

import base64
import io

from PIL import Image, ImageOps


def handler(event, context):
    picture = Image.open(io.BytesIO(base64.b64decode(event["image"])))
    upright = ImageOps.exif_transpose(picture)
    upright.thumbnail((event.get("width", 64), event.get("height", 64)))
    output = io.BytesIO()
    upright.save(output, format="PNG", optimize=True)
    print(f"{picture.format} {picture.size} became PNG {upright.size}")
    return {
        "image": base64.b64encode(output.getvalue()).decode(),
        "contentType": "image/png",
        "width": upright.width,
        "height": upright.height,
    }
