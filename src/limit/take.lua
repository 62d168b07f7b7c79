-- The generic cell rate algorithm for the limits of one request (limit/gcra.rs). A limit admits
-- if every rate of it does; 'all' limits admit, or nothing is taken from any, or 'each' of them
-- answers for itself.
-- KEYS[1]: the buckets of one user, in one key, so that in a Cluster they are at one server and
-- move together: the time of the last use, in microseconds of the server's clock, then each
-- limit that is not full, with how far each of its arrival times was ahead of that time.
-- ARGV: 'all' or 'each', then per limit its name, how many rates it has, the least to take and the
-- most, then per rate its interval, its tolerance and what to give back first, in microseconds.
-- Last of all, while the key's slot moves, until when the key may be made here, in microseconds
-- of the server's clock: later it may be at the old server again (outbound/redis/request.rs).
-- Returns per limit what was taken, the wait in microseconds, then per rate how far its
-- arrival time is ahead.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local stored = redis.call('GET', KEYS[1]) or ''
-- After a failover to a slower clock, time stands still until that has caught up.
local last = tonumber(string.match(stored, '^%d+')) or now
if last > now then now = last end
local names, buckets = {}, {}
for name, times in string.gmatch(stored, '(%x+)=([%d,]+)') do
  local bucket = {}
  for left in string.gmatch(times, '%d+') do
    bucket[#bucket + 1] = math.max(tonumber(left) - (now - last), 0)
  end
  names[#names + 1], buckets[name] = name, bucket
end
local asked, refused, given, at = {}, false, false, 2
while at < #ARGV do
  local name, rates = ARGV[at], tonumber(ARGV[at + 1])
  local least, most = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local bucket = buckets[name]
  if not bucket then
    bucket = {}
    names[#names + 1], buckets[name] = name, bucket
  end
  local take, wait, intervals = most, 0, {}
  for rate = 1, rates do
    local first = at + 1 + 3 * rate
    local interval, tolerance = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
    local back = tonumber(ARGV[first + 2])
    local left = math.max((bucket[rate] or 0) - back, 0)
    given = given or back > 0
    bucket[rate], intervals[rate] = left, interval
    take = math.min(take, math.floor((tolerance - left) / interval) + 1)
    wait = math.max(wait, left + (least - 1) * interval - tolerance)
  end
  if wait > 0 then take, refused = 0, true end
  -- Taken at once, because two limits of one name share a bucket.
  for rate = 1, rates do bucket[rate] = bucket[rate] + take * intervals[rate] end
  given = given or (take > 0 and ARGV[1] == 'each')
  asked[#asked + 1] = {bucket = bucket, take = take, wait = wait, intervals = intervals}
  at = at + 4 + 3 * rates
end
if refused and ARGV[1] == 'all' then
  for _, limit in ipairs(asked) do
    for rate, interval in ipairs(limit.intervals) do
      limit.bucket[rate] = math.max(limit.bucket[rate] - limit.take * interval, 0)
    end
    limit.take = 0
  end
end
if stored == '' and ARGV[at] and now > tonumber(ARGV[at]) then
  return redis.error_reply('TRYAGAIN the slot may have gone back')
end
local answer = {}
for _, limit in ipairs(asked) do
  answer[#answer + 1] = limit.take
  answer[#answer + 1] = limit.wait
  for rate in ipairs(limit.intervals) do answer[#answer + 1] = limit.bucket[rate] end
end
if refused and not given then return answer end
local kept, longest = {string.format('%.0f', now)}, 0
for _, name in ipairs(names) do
  local times, most = {}, 0
  for rate, left in ipairs(buckets[name]) do
    times[rate], most = string.format('%.0f', left), math.max(most, left)
  end
  if most > 0 then kept[#kept + 1] = name .. '=' .. table.concat(times, ',') end
  longest = math.max(longest, most)
end
if longest > 0 then
  redis.call('SET', KEYS[1], table.concat(kept, ' '), 'PX', math.ceil(longest / 1000))
else
  redis.call('DEL', KEYS[1])
end
return answer
