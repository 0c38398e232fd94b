"""Tools of the developers; the image has none of them."""
