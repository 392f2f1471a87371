-- A batch looks up its rows by key. With the default cost of a random read (a spinning disk's) the planner would
-- rather scan a table of a few 100,000 rows for each batch. Who may not alter the database sets it elsewhere.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET random_page_cost = 1.1', current_database());
EXCEPTION
    WHEN insufficient_privilege THEN RAISE NOTICE 'random_page_cost stays as it is';
END
$$;

-- Keys are compared byte by byte (collation C): quicker than a language's order, and the same on every server.
CREATE TYPE "charge_status" AS ENUM ('charged', 'refused', 'refunded');

-- Accounts change with every charge: room in each page keeps those updates off the index (HOT).
CREATE TABLE "accounts" (
    "buyer" TEXT COLLATE "C" NOT NULL,
    "credit_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,

    CONSTRAINT "accounts_pkey" PRIMARY KEY ("buyer"),
    CONSTRAINT "account_not_overdrawn" CHECK ("credit_minor" >= 0)
) WITH (fillfactor = 70);

CREATE TABLE "charges" (
    "purchase_id" TEXT COLLATE "C" NOT NULL,
    "sale" TEXT NOT NULL,
    "buyer" TEXT NOT NULL,
    "amount_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "status" "charge_status" NOT NULL,
    "reason" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "charges_pkey" PRIMARY KEY ("purchase_id"),
    CONSTRAINT "charge_not_negative" CHECK ("amount_minor" >= 0)
);
