"""What shows pictures while they are made: a window, and a virtual camera. Each needs packages of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.media.clips.frame import ClipFacts

__all__ = ["VirtualCamera", "Window"]


class Window:
    """A window of Tk, which comes with Python on most systems.

    Args:
        press: is called with each character that is typed into the window, and with ``q`` when it is closed.

    Raises:
        AdainError: Tk is missing.

    """

    def __init__(self, press: Callable[[str], None]) -> None:
        try:
            import tkinter as tk

            from PIL import ImageTk
        except ImportError as error:
            raise AdainError(f"a window needs {error.name}, which this Python lacks", hint="use `output`") from None
        self._tk, self._image_tk, self._press = tk, ImageTk, press
        self._root: Any = None

    def open(self, facts: ClipFacts) -> None:
        """Open the window.

        Raises:
            AdainError: there is no screen.

        """
        try:
            self._root = self._tk.Tk()
        except self._tk.TclError as error:
            raise AdainError(f"a window cannot be opened ({error})", hint="use `output`") from None
        self._root.title("adain-rt live")
        self._root.geometry(f"{facts.width}x{facts.height}")
        self._root.bind("<Key>", lambda event: self._press(event.char))
        self._root.protocol("WM_DELETE_WINDOW", lambda: self._press("q"))
        self._label = self._tk.Label(self._root, borderwidth=0)
        self._label.pack()

    def show(self, pixels: Pixels) -> None:
        """Show a picture, uint8 (H, W, 3)."""
        from PIL import Image

        self._picture = self._image_tk.PhotoImage(Image.fromarray(pixels))  # Tk keeps no reference of its own
        self._label.configure(image=self._picture)
        self._root.update()

    def close(self) -> None:
        """Close the window."""
        if self._root is not None:
            self._root.destroy()


class VirtualCamera:
    """A camera that other programs can choose, by pyvirtualcam.

    Raises:
        AdainError: the package is missing.

    """

    def __init__(self) -> None:
        try:
            import pyvirtualcam
        except ModuleNotFoundError:
            raise AdainError("a virtual camera needs pyvirtualcam: pip install 'adain-rt[live]'") from None
        self._library = pyvirtualcam
        self._camera: Any = None

    def open(self, facts: ClipFacts) -> None:
        """Open the camera.

        Raises:
            AdainError: the system has no virtual camera.

        """
        try:
            self._camera = self._library.Camera(facts.width, facts.height, float(facts.rate))
        except RuntimeError as error:
            raise AdainError(f"a virtual camera cannot be opened ({' '.join(str(error).split())})") from None

    def show(self, pixels: Pixels) -> None:
        """Show a picture, uint8 (H, W, 3)."""
        self._camera.send(pixels)

    def close(self) -> None:
        """Close the camera."""
        if self._camera is not None:
            self._camera.close()
