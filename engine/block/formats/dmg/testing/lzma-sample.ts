/** An xz stream that liblzma made. */

/** 4096 bytes of `sentences`, with a CRC-32. */
export const XZ_CODED = new Uint8Array(
  Buffer.from(
    [
      '/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj4A//A7tdADuciVcKRWuYYi/gtjJtCYTyLPci50X1kx0IXeUu42oO7I9pqARyD6jjTdcp5m58NG8PcC',
      'zFLDGIuk9UphFwlACO4Wrrnnm00dAyRUg7neadcZzfnP4OnSMjFOpk0M0e/uzzkiyLQDqanCjAnQtkYGT6t9Dhtn2cwSg5wETrbwKYn8Wf3R0r',
      'IVCMu6hAnxp9ZoEzLnCkBbfxV5JiD7wCbD7Ou0iXI/wyl/VKbfWC3zafn6tKydjJ9+NgGCkmTP0acP56PtIl1SqVLcgIGJUhTZDZlO7xyZAQmL',
      'qpWfcR5jYtMlanuuL7woFVxIn8o57AL8syAHb2vIZlsSblz5p/dLcVz3aoq/JVauhRrGY5sc+bTehcOWBqrNEs1Q4xuXQ9DphBvaP90GBCOC5L',
      'JUg2n29++lQfOStm6fr2YLF4fW40KYOnGuBxe16HLfTQFI4plHk4krj+k2bUegnDh+bzZzER3plbtvDeXSftvIpL8q1FAM1BO+d92Foy2M1Rle',
      'sxe6RVMCuHVzYLVyPIX5tlWSRBZUbbJ0AiPQiHk1GCAIbT/jpEq7xvbtEeRpUTbLEcXACc49owZVOz7RvAe49detT5hJELNpsCnsXzkYN5vlRu',
      '1c7gOYJGnZFRD5hO1yUO4HXT7Hv8dWn3iSC/kC5jnmGogvN95Kn3yQ74d6GD1MEn1Zcc3b+nzpIcn0h0waBOJ3Bo6VGzKoiyDEl2tgdLhaiaDT',
      'GBtrQM1qiH3vxIjVnrPtMfHroc7pyZN4LrO6WwNKrWrQIApRPERqudaPnmZki9gaN/IAQVu4DDcgKnMVaOZXm4WNRfp75PmXRgyb2LYOmfhe+B',
      'O77LxMPS8Sz4Qs7C/xdKvEHIdHuXFGJAMx2MqPugrstfLCdKVwjl0F3SVZ8LeDZsDHDt5HjFgi3EcNCfiZxwH0HUAqr8weJn0DDi1rXiJwGC4X',
      'aWPazstrw6oN3BABAfVHa7/+nAAXEAUFLKQr5zRaEjBwdlhrTxA4Z54RWRWwTVAWgf68fx22n9Q3PPQxlYKCph/+Xrxhgns5F7xjFWlnm2k7x7',
      'GCzVq6PmbGkpuOPIMJEprU9rSkncwBDOwIwixbUbfu9DrBCLphlhb1CBZSLBSWxzW9uexExGNYkpDdR8BRqwEvv2uB47MvUGVlpx0dpVyrMFF/',
      'OnXKHpHeWdLMsNB/SLZlnxsso3SQEPow++Wz5uVGT8e83bYE2tlS/nsPD+NZ/kKN+U27TMY89u1H7qhaLFvJBhD9JNVz060IuC3I+tpwAAAGou',
      'wDgAAdMHgCAAAJeWyzA+MA2LAgAAAAABWVo=',
    ].join(''),
    'base64',
  ),
);
