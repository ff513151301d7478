"""TRACE on the tasks of the embedded world, what it costs, and how well the models draw."""
