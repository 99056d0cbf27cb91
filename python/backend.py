"""The build backend: that of setuptools, from wherever it is.

pip builds in an environment of its own, into which it downloads what a backend requires. On a machine without network
that fails, though setuptools is installed. So this one requires nothing at first: it looks for setuptools among the
packages of the interpreter that runs it, and asks pip for it only if there is none.
"""

import os
import site
import sys
import sysconfig

_places = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
_places += ["/usr/lib/python3/dist-packages"] if sys.prefix == "/usr" else []  # where Debian has its own
_places += [os.path.join(sys.base_prefix, *p.split(os.sep)[-3:]) for p in _places[:2]]
_places += site.getsitepackages()


def _setuptools():
    try:
        import setuptools.build_meta as it
    except ImportError:
        before = list(sys.path)
        sys.path += [p for p in _places if p not in sys.path]
        try:
            import setuptools.build_meta as it
        except ImportError:
            sys.path[:] = before
            return None
    return it


def get_requires_for_build_wheel(config_settings=None):
    it = _setuptools()
    if it is None:
        return ["setuptools"]
    try:
        import wheel  # noqa: F401
    except ImportError:
        return [
            r for r in it.get_requires_for_build_wheel(config_settings) if not r.startswith("wheel") or not _bdist()
        ]
    return []


def _bdist():
    """Whether this setuptools makes wheels by itself."""
    try:
        import setuptools.command.bdist_wheel  # noqa: F401
    except ImportError:
        return False
    return True


def get_requires_for_build_sdist(config_settings=None):
    return [] if _setuptools() else ["setuptools"]


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _setuptools().build_wheel(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    return _setuptools().build_sdist(sdist_directory, config_settings)
