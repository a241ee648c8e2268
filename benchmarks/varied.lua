-- For wrk: every request differs from all others in its query and in two of its fields.
local counter = 0
math.randomseed(os.time())
request = function()
  counter = counter + 1
  local id = string.format("%08x-%08x", math.random(0, 0x7fffffff), counter)
  return wrk.format("GET", "/?n=" .. id, {["X-Request-Id"] = id, ["Cookie"] = "session=" .. id})
end
