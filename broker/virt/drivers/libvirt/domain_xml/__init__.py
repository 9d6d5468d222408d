"""Domain XML as declarations: elements with typed properties that read and write the document in place."""
