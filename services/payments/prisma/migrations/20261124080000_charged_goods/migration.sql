-- What was charged for: a purchase that comes again for other goods is told from one that is repeated.
-- Null in the charges that are there already. A column without a default is added at once, however long the table is.
ALTER TABLE "charges" ADD COLUMN "sku" TEXT, ADD COLUMN "quantity" INTEGER;
