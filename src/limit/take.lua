-- The generic cell rate algorithm for all rates of one limit and one user (limit/gcra.rs).
-- KEYS[1]: the bucket: the time of its last use, then an arrival time per rate, in
-- microseconds of the server's clock.
-- ARGV: the least to take, the most, what to give back first, then per rate its interval
-- and its tolerance in microseconds.
-- Returns what was taken, the wait in microseconds, then per rate how far its arrival time
-- is ahead. Takes all it says or nothing.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stored = {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+') do
  stored[#stored + 1] = tonumber(number)
end
-- After a failover to a slower clock, time stands still until that has caught up.
if stored[1] and stored[1] > now then now = stored[1] end
local least, most, back = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local rates = (#ARGV - 3) / 2
local take, wait, ahead = most, 0, {}
for rate = 1, rates do
  local interval, tolerance = tonumber(ARGV[2 + 2 * rate]), tonumber(ARGV[3 + 2 * rate])
  local left = (stored[rate + 1] or 0) - now
  if back > 0 then left = left - back * interval end
  if left < 0 then left = 0 end
  ahead[rate] = left
  take = math.min(take, math.floor((tolerance - left) / interval) + 1)
  wait = math.max(wait, left + (least - 1) * interval - tolerance)
end
if wait > 0 then take = 0 end
local kept, longest, answer = {string.format('%.0f', now)}, 0, {take, wait}
for rate = 1, rates do
  local left = ahead[rate] + take * tonumber(ARGV[2 + 2 * rate])
  longest = math.max(longest, left)
  kept[rate + 1] = string.format('%.0f', now + left)
  answer[rate + 2] = left
end
if take > 0 or back > 0 then
  if longest > 0 then
    redis.call('SET', KEYS[1], table.concat(kept, ' '), 'PX', math.ceil(longest / 1000))
  else
    redis.call('DEL', KEYS[1])
  end
end
return answer
