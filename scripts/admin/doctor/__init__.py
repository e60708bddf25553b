"""`giliran doctor`. `facts/` reads what is so, each subject within its time; the modules here judge it, purely: each
check is a code, what is true where all is well, and what to do where it is not. `report` puts them together.
"""
