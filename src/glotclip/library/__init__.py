"""Libraries: folders of pictures and videos that are indexed once and asked in any language."""
