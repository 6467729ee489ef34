-- ARGV 2: the node. What it has on record stays charged; nobody waits for it any more.
local state = redis.call('HGET', me, 'state')
if not state then return redis.error_reply('UNKNOWN no node ' .. node .. ' shares these budgets') end
redis.call('HSET', me, 'state', 'dead')
for _, kind in ipairs(redis.call('SMEMBERS', opened)) do close(kind) end
return state
