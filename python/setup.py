"""Builds the extension on include/shoal.h. That is a link to the header of the repository, which sdist follows."""

import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "shoal._shoal",
            sorted(glob.glob("src/*.c")),
            include_dirs=["include", "src"],
            depends=["include/shoal.h", "src/module.h"],
            extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra"],
            extra_link_args=["-pthread"],
        )
    ]
)
