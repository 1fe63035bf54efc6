-- Which process goes by the name of the node: of two, as where a folder was copied, the later one.
ALTER TABLE node ADD COLUMN instance TEXT COLLATE "C";
