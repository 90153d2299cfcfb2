"""The report: one self-contained page, a module a section, and its figures as single files."""
