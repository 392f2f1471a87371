-- A batch looks up its rows by key. With the default cost of a random read (a spinning disk's) the planner would
-- rather scan a table of a few 100,000 rows for each batch. Who may not alter the database sets it elsewhere.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET random_page_cost = 1.1', current_database());
EXCEPTION
    WHEN insufficient_privilege THEN RAISE NOTICE 'random_page_cost stays as it is';
END
$$;

-- Keys are compared byte by byte (collation C): quicker than a language's order, the same on every server,
-- and all purchases of a sale are one range of the primary key ('<sale>.' to '<sale>/').
CREATE TYPE "purchase_status" AS ENUM ('reserved', 'paid', 'refused', 'expired', 'refunded');

-- Every purchase changes its status once or twice: room in each page keeps those updates off the indexes (HOT).
CREATE TABLE "purchases" (
    "id" TEXT COLLATE "C" NOT NULL,
    "sale" TEXT COLLATE "C" NOT NULL,
    "sku" TEXT COLLATE "C" NOT NULL,
    "buyer" TEXT COLLATE "C" NOT NULL,
    "buyer_number" BIGINT,
    "quantity" INTEGER NOT NULL,
    "amount_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "status" "purchase_status" NOT NULL,
    "reserved_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),
    "reason" TEXT,
    "epoch" INTEGER NOT NULL,

    CONSTRAINT "purchases_pkey" PRIMARY KEY ("id")
) WITH (fillfactor = 50);

CREATE INDEX "purchases_buyer_reserved_at_id_idx" ON "purchases" ("buyer", "reserved_at" DESC, "id" DESC);

-- One row an item, changed by every batch: an almost empty page keeps its versions in one place.
CREATE TABLE "allocations" (
    "sale" TEXT COLLATE "C" NOT NULL,
    "sku" TEXT COLLATE "C" NOT NULL,
    "allocated" BIGINT NOT NULL,
    "per_buyer" INTEGER NOT NULL,
    "sold" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "allocations_pkey" PRIMARY KEY ("sale", "sku"),
    CONSTRAINT "sold_within_allocation" CHECK ("sold" >= 0 AND "sold" <= "allocated")
) WITH (fillfactor = 10);

CREATE TABLE "buyer_totals" (
    "sale" TEXT COLLATE "C" NOT NULL,
    "sku" TEXT COLLATE "C" NOT NULL,
    "buyer" TEXT COLLATE "C" NOT NULL,
    "units" INTEGER NOT NULL,
    "per_buyer" INTEGER NOT NULL,

    CONSTRAINT "buyer_totals_pkey" PRIMARY KEY ("sale", "sku", "buyer"),
    CONSTRAINT "buyer_within_limit" CHECK ("units" >= 0 AND "units" <= "per_buyer")
);

CREATE TABLE "inbox" (
    "event_id" TEXT COLLATE "C" NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "inbox_pkey" PRIMARY KEY ("event_id")
);
