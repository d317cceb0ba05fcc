"""Every kind of data that can be opened, one a file, each with ``@register`` (:mod:`glotclip.data.dataset`)."""
