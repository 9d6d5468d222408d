"""What answers look like, one module per resource. Inputs stand beside the views that take them."""
