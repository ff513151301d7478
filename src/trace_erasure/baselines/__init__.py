"""TRACE and the methods it is compared with, all giving the same artifact.

Every method erases from a pipeline by one call, ``method.erase(pipe, concepts)``; ``registry``
lists them by name.
"""
