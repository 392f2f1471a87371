-- Old rows are found by their age without an entry for each: rows are written in the order of time, so a range of
-- pages is told from its first and last instant.
CREATE INDEX "inbox_at_idx" ON "inbox" USING BRIN ("at") WITH (autosummarize = on);
