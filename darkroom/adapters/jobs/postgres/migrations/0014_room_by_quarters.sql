-- Hand jobs out when a quarter of the window is free, not a tenth: fewer calls, each of which hands out more.

CREATE OR REPLACE FUNCTION darkroom.is_room_wanted(rules jsonb, lane_type text, lane_cost text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    places bigint := darkroom.number(rules, 'window');
    several bigint := greatest(1, places / 4);
    waiting bigint;
    taken bigint;
BEGIN
    IF NOT darkroom.is_any_waiting(lane_type, lane_cost) THEN
        RETURN false;
    END IF;
    IF places = 0 THEN
        RETURN true;
    END IF;
    SELECT count(*) INTO taken FROM (
        SELECT FROM darkroom.jobs WHERE type = lane_type AND cost = lane_cost AND in_window LIMIT places) AS them;
    SELECT count(*) INTO waiting FROM (
        SELECT FROM darkroom.jobs WHERE type = lane_type AND cost = lane_cost AND waits LIMIT several) AS them;
    RETURN places - taken >= waiting;
END $$;
