"""Documents -> chunks -> something searchable on disk. Knows no prompt and no model that writes; see `index.store`."""
