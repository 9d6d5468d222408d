"""Kill, freeze and double workers at every boundary of every plan, on real machines."""
